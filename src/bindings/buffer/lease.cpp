#include "bindings/buffer/lease.hpp"

#include <pybind11/pybind11.h>

#include "bindings/buffer/recent_arrays.hpp"
#include "bindings/python/free_threading.hpp"
#include "bindings/python/tracing.h"

namespace py = pybind11;

namespace numpool::bindings {
namespace {

PyTypeObject* lease_type = nullptr;

void lease_dealloc(PyObject* self) {
    PyTypeObject* const type = Py_TYPE(self);
    delete reinterpret_cast<Lease*>(self)->arrays;
    reinterpret_cast<Lease*>(self)->holding.release();
    type->tp_free(self);
    Py_DECREF(type);
}

int lease_getbuffer(PyObject* self, Py_buffer* view, int flags) {
    // numpy.ndarray(buffer=...) ends this export at once and keeps the address. It then holds the
    // object that it was given (a pickle.PickleBuffer, for one), which need not hold the lease.
    // NumPy asks a second time, for a read-only export, where the first was refused.
    if (asks_to_keep_the_address(flags | PyBUF_WRITABLE)) {
        PyErr_SetString(PyExc_BufferError,
                        "numpy.ndarray(buffer=...) can't show what holds this block: use "
                        "numpy.frombuffer() or Buffer.array()");
        view->obj = nullptr;
        return -1;
    }
    return export_lease(reinterpret_cast<Lease*>(self), view, flags);
}

}  // namespace

void Holding::release() noexcept {
    if (owner == nullptr) return;
    if (traced) numpool_untrack(block);
    if (constructed) {
        owner->release(block, static_cast<std::size_t>(bytes));
    } else {
        owner->release_unused(block);
    }
}

void Holding::let_go() noexcept {
    if (office == nullptr) return release();
    office->drop(block, ticket);
}

Lease* new_lease(const Holding& holding) noexcept {
    auto* const lease = PyObject_New(Lease, lease_type);
    if (lease == nullptr) return nullptr;
    count_references_together(&lease->ob_base);
    lease->holding = holding;
    lease->arrays = nullptr;
    return lease;
}

bool is_lease(PyObject* object) noexcept {
    return Py_IS_TYPE(object, lease_type);
}

int export_lease(Lease* lease, Py_buffer* view, int flags) noexcept {
    return PyBuffer_FillInfo(view, &lease->ob_base, lease->holding.block, lease->holding.bytes, 0,
                             flags);
}

void create_lease_type() {
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void*>(lease_dealloc)},
        {Py_bf_getbuffer, reinterpret_cast<void*>(lease_getbuffer)},
        {Py_tp_doc,
         const_cast<char*>("What views of a pooled block hold, so that it stays while they do.")},
        {0, nullptr},
    };
    static PyType_Spec spec = {
        "numpool._core.Lease",
        sizeof(Lease),
        0,
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
        slots,
    };
    lease_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (lease_type == nullptr) throw py::error_already_set{};
    immortalise(reinterpret_cast<PyObject*>(lease_type));
}

}  // namespace numpool::bindings
