#include "bindings/processes/messages.hpp"

#include "base/error.hpp"

namespace numpool::bindings {

using processes::Access;
using processes::Sent;
using processes::SharedPool;

namespace {

/// Releases a received block when its capsule has gone.
void end_use(PyObject* capsule) {
    auto* const start = static_cast<std::byte*>(PyCapsule_GetPointer(capsule, nullptr));
    auto* const pool = static_cast<SharedPool*>(PyCapsule_GetContext(capsule));
    const threads::PoolHandle<SharedPool> kept{pool};
    pool->release(start);
    pool->drop_handle();
}

py::tuple send(SharedPool& pool, const py::object& array) {
    const std::byte* const at = address_in(array, "_send");
    const Sent sent = pool.send(at);
    return message_tuple("IIKn", sent.index, sent.serial,
                         static_cast<unsigned long long>(sent.block),
                         static_cast<Py_ssize_t>(at - pool.place_of(at)->start));
}

/// A capsule that holds the received block, the block's address, and its bytes.
py::tuple receive(SharedPool& pool, std::uint32_t index, std::uint32_t serial, std::uint64_t block,
                  bool read_only) {
    const SharedPool::Place place =
        pool.receive({index, serial, block}, read_only ? Access::read_only : Access::read_write);
    py::object held = hold(pool, place);
    return message_tuple(
        "NKn", held.release().ptr(),
        static_cast<unsigned long long>(reinterpret_cast<std::uintptr_t>(place.start)),
        static_cast<Py_ssize_t>(place.bytes));
}

}  // namespace

py::object hold(SharedPool& pool, const SharedPool::Place& place) {
    PyObject* const capsule = PyCapsule_New(place.start, nullptr, nullptr);
    if (capsule == nullptr) {
        pool.release(place.start);
        throw py::error_already_set{};
    }
    pool.add_handle();
    PyCapsule_SetContext(capsule, &pool);
    PyCapsule_SetDestructor(capsule, end_use);
    return py::reinterpret_steal<py::object>(capsule);
}

py::object array_at(const py::object& owner, std::uintptr_t start, std::size_t bytes,
                    npy_intp offset, const std::vector<npy_intp>& shape,
                    const std::vector<npy_intp>& strides, const py::object& dtype, bool writeable) {
    require_numpy();
    PyArray_Descr* descr = nullptr;
    if (PyArray_DescrConverter(dtype.ptr(), &descr) != NPY_SUCCEED) throw py::error_already_set{};
    const auto size = static_cast<npy_intp>(PyDataType_ELSIZE(descr));
    const auto dimensions = static_cast<int>(shape.size());
    if (strides.size() != shape.size() ||
        !PyArray_CheckStrides(static_cast<int>(size), dimensions, static_cast<npy_intp>(bytes),
                              offset, shape.data(), strides.data())) {
        Py_DECREF(descr);
        throw BadArgument{"this message is damaged: its array does not fit into its block"};
    }
    PyObject* const made = PyArray_NewFromDescr(
        &PyArray_Type, descr, dimensions, shape.data(), strides.data(),
        reinterpret_cast<std::byte*>(start) + offset, writeable ? NPY_ARRAY_WRITEABLE : 0, nullptr);
    if (made == nullptr) throw py::error_already_set{};
    auto array = py::reinterpret_steal<py::object>(made);
    if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(made), owner.inc_ref().ptr()) != 0) {
        throw py::error_already_set{};
    }
    return array;
}

void add_messages(SharedPoolClass& pool) {
    pool.def("_send", &send, py::arg("array"), py::pos_only())
        .def("_receive", &receive, py::arg("index"), py::arg("serial"), py::arg("block"),
             py::arg("read_only"), py::pos_only());
}

}  // namespace numpool::bindings
