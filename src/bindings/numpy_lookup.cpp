/// Which pool an array's data lies in, and which one the next array's would.

#include "bindings/numpy_lookup.hpp"

#include "bindings/buffer.hpp"
#include "bindings/numpy_process.hpp"
#include "bindings/pool.hpp"

namespace numpool::bindings {
namespace {

using threads::Pool;

PyArrayObject* as_array(const py::handle& object) {
    return reinterpret_cast<PyArrayObject*>(object.ptr());
}

Pool* pool_of_owned_data(PyArrayObject* array) {
    PyObject* const capsule = PyArray_HANDLER(array);
    if (capsule == nullptr) return nullptr;
    if (const NumpyHandler* const handler = NumpyHandler::in(capsule)) {
        return handler->owner(PyArray_DATA(array));
    }
    return ProcessHandler::owner_of_any(PyArray_DATA(array));
}

py::object object_of_owner(threads::BlockOwner* owner) {
    return object_of(dynamic_cast<Pool*>(owner));
}

}  // namespace

py::object pool_of(const py::object& array) {
    require_numpy();
    py::object holder = array;
    if (!PyArray_Check(holder.ptr()) && !PyMemoryView_Check(holder.ptr()) &&
        !is_buffer(holder.ptr())) {
        throw py::type_error{std::string{"pool_of() takes an array, a Buffer or a memoryview, not "} +
                             Py_TYPE(array.ptr())->tp_name};
    }
    // A view's base holds the memory for it, perhaps as a view of another.
    while (holder) {
        PyObject* next = nullptr;
        if (PyArray_Check(holder.ptr())) {
            PyArrayObject* const view = as_array(holder);
            if (PyArray_CHKFLAGS(view, NPY_ARRAY_OWNDATA)) return object_of(pool_of_owned_data(view));
            next = PyArray_BASE(view);
        } else if (PyMemoryView_Check(holder.ptr())) {
            next = PyMemoryView_GET_BUFFER(holder.ptr())->obj;
        } else if (is_lease(holder.ptr())) {
            return object_of_owner(reinterpret_cast<Lease*>(holder.ptr())->holding.owner);
        } else if (is_buffer(holder.ptr())) {
            return holder.attr("pool");
        }
        holder = py::reinterpret_borrow<py::object>(next);
    }
    return py::none{};
}

py::object current() {
    require_numpy();
    const auto capsule = py::reinterpret_steal<py::object>(PyDataMem_GetHandler());
    if (!capsule) throw py::error_already_set{};
    if (capsule.is(py::handle{PyDataMem_DefaultHandler})) {
        const ProcessHandler* const handler = ProcessHandler::serving();
        return object_of(handler == nullptr ? nullptr : handler->pool());
    }
    const NumpyHandler* const handler = NumpyHandler::in(capsule.ptr());
    return object_of(handler == nullptr ? nullptr : handler->pool());
}

}  // namespace numpool::bindings
