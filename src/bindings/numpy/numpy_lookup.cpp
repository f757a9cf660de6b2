/// Which pool memory belongs to, and which pool serves the next array.

#include "bindings/numpy/numpy_lookup.hpp"

#include "bindings/buffer/buffer.hpp"
#include "bindings/numpy/numpy_process.hpp"
#include "bindings/python/python_pool.hpp"
#include "threads/budget/shared_budget.hpp"
#include "threads/lifecycle/pool_listing.hpp"

namespace numpool::bindings {
namespace {

using threads::Pool;
using threads::PoolListing;

PyArrayObject* as_array(const py::handle& object) {
    return reinterpret_cast<PyArrayObject*>(object.ptr());
}

Pool* pool_of_owned_data(PyArrayObject* array) {
    PyObject* const capsule = PyArray_HANDLER(array);
    if (capsule == nullptr) return nullptr;
    if (const NumpyHandler* const handler = NumpyHandler::in(capsule)) {
        return handler->pool_of(PyArray_DATA(array));
    }
    return ProcessHandler::pool_of_any(PyArray_DATA(array));
}

}  // namespace

py::object owner(const py::object& x) {
    require_numpy();
    // A view's base holds the memory for it, and may itself be a view. The last of them holds the
    // block and knows its pool. The address alone is not enough: pools draw on each other.
    py::object holder = x;
    while (holder) {
        py::object next;
        if (PyArray_Check(holder.ptr())) {
            PyArrayObject* const view = as_array(holder);
            if (PyArray_CHKFLAGS(view, NPY_ARRAY_OWNDATA))
                return object_of(pool_of_owned_data(view));
            next = py::reinterpret_borrow<py::object>(PyArray_BASE(view));
        } else if (PyMemoryView_Check(holder.ptr())) {
            // Raises where the view was released: its memory may be gone by now.
            next = holder.attr("obj");
        } else if (is_lease(holder.ptr())) {
            return object_of(pool_behind(reinterpret_cast<Lease*>(holder.ptr())->holding));
        } else if (is_buffer(holder.ptr())) {
            return holder.attr("pool");
        }
        holder = std::move(next);
    }
    return object_of(PoolListing::find(address_in(x, "owner")).get());
}

py::object pool_of(const py::object& array) {
    require_numpy();
    if (PyArray_Check(array.ptr()) || PyMemoryView_Check(array.ptr()) || is_buffer(array.ptr()))
        return owner(array);
    throw py::type_error{std::string{"pool_of() takes an array, a Buffer or a memoryview, not "} +
                         Py_TYPE(array.ptr())->tp_name};
}

bool counts_against(const py::object& array, Pool& pool) {
    require_numpy();
    if (!PyArray_Check(array.ptr()) || !PyArray_CHKFLAGS(as_array(array), NPY_ARRAY_OWNDATA))
        return false;
    Pool* const owning = pool_of_owned_data(as_array(array));
    if (owning == nullptr) return false;
    const auto* const budget = dynamic_cast<threads::SharedBudget*>(owning);
    const auto* const other = dynamic_cast<threads::SharedBudget*>(&pool);
    return owning == &pool || &threads::bottom_of(*owning) == &pool ||
           (budget != nullptr && other != nullptr && budget->counts_against(*other));
}

py::object age(const py::object& array) {
    require_numpy();
    if (!PyArray_Check(array.ptr()) || !PyArray_CHKFLAGS(as_array(array), NPY_ARRAY_OWNDATA))
        return py::none{};
    const auto* const budget =
        dynamic_cast<threads::SharedBudget*>(pool_of_owned_data(as_array(array)));
    if (budget == nullptr) return py::none{};
    const auto milliseconds = budget->age_of(PyArray_DATA(as_array(array)));
    if (!milliseconds) return py::none{};
    return py::float_{static_cast<double>(*milliseconds) / 1000};
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
