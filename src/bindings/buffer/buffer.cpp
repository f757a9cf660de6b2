#include "bindings/buffer/buffer.hpp"

#include <structmember.h>

#include <cstddef>

#include "base/size_text.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/free_threading.hpp"
#include "bindings/python/python_pool.hpp"
#include "bindings/python/topics.hpp"
#include "bindings/python/tracing.h"

namespace numpool::bindings {
namespace {

PyTypeObject* buffer_type = nullptr;

Buffer* as_buffer(PyObject* object) noexcept {
    return reinterpret_cast<Buffer*>(object);
}

void buffer_dealloc(PyObject* self) {
    PyTypeObject* const type = Py_TYPE(self);
    Buffer* const buffer = as_buffer(self);
    if (buffer->weak_references != nullptr) PyObject_ClearWeakRefs(self);
    if (!buffer->released) let_go(buffer);
    type->tp_free(self);
    Py_DECREF(type);
}

/// A consumer keeps the address and a reference to the buffer: the block is in use as long as the
/// buffer lives.
void pin(Buffer* buffer, Lease* lease) noexcept {
    buffer->pinned = true;
    if (buffer->lease == nullptr) {
        buffer->lease = lease;
        Py_INCREF(&lease->ob_base);
    }
}

int buffer_getbuffer(PyObject* self, Py_buffer* view, int flags) {
    const CriticalSection section{self};
    Lease* const lease = lease_of(as_buffer(self));
    if (lease == nullptr) {
        view->obj = nullptr;
        return -1;
    }
    if (asks_to_keep_the_address(flags)) pin(as_buffer(self), lease);
    const int result = export_lease(lease, view, flags);
    Py_DECREF(&lease->ob_base);
    return result;
}

/// Never called, since exports name the lease. But it must exist: NumPy then keeps a memoryview,
/// which holds the export, and not the bare address.
void buffer_releasebuffer(PyObject*, Py_buffer*) {}

PyObject* buffer_release(PyObject* self, PyObject*) {
    const CriticalSection section{self};
    Buffer* const buffer = as_buffer(self);
    if (buffer->released) Py_RETURN_NONE;
    if (!has_ended(buffer) && !can_release(buffer)) return nullptr;
    let_go(buffer);
    Py_RETURN_NONE;
}

PyObject* buffer_enter(PyObject* self, PyObject*) {
    const CriticalSection section{self};
    if (!require_unreleased(as_buffer(self))) return nullptr;
    return Py_NewRef(self);
}

/// Views may outlive the `with` block, in the frames of an exception or in a result. That is no
/// error here: the block of memory goes back with the last view. A pinned buffer keeps it, since
/// its views cannot be seen.
PyObject* buffer_exit(PyObject* self, PyObject* const*, Py_ssize_t) {
    const CriticalSection section{self};
    Buffer* const buffer = as_buffer(self);
    if (!buffer->released && !buffer->pinned) let_go(buffer);
    Py_RETURN_NONE;
}

PyObject* buffer_array(PyObject* self, PyObject* arguments, PyObject* keywords) {
    static const char* names[] = {"dtype", "shape", nullptr};
    PyObject* dtype = Py_None;
    PyObject* shape = Py_None;
    if (PyArg_ParseTupleAndKeywords(arguments, keywords, "|OO:array", const_cast<char**>(names),
                                    &dtype, &shape) == 0) {
        return nullptr;
    }
    Lease* lease = nullptr;
    {
        const CriticalSection section{self};
        lease = lease_of(as_buffer(self));
        if (lease == nullptr) return nullptr;
    }
    PyObject* const array = array_on(lease, dtype, shape);
    if (array != nullptr) {
        const CriticalSection section{self};
        remember_array(as_buffer(self), lease, array);
    }
    Py_DECREF(&lease->ob_base);
    return array;
}

PyObject* buffer_reduce(PyObject* self, PyObject* protocol) {
    return guarded<PyObject*>(nullptr, [&] {
        const py::object restore = py::module_::import("numpool._pickling").attr("restore_buffer");
        const bool out_of_band = py::handle{protocol}.cast<int>() >= 5;
        const py::object data =
            out_of_band ? py::reinterpret_steal<py::object>(PyPickleBuffer_FromObject(self))
                        : py::reinterpret_steal<py::object>(PyByteArray_FromObject(self));
        if (!data) throw py::error_already_set{};
        return py::make_tuple(restore, py::make_tuple(data)).release().ptr();
    });
}

/// NumPy makes the tensor, from an array that holds this buffer's lease.
PyObject* buffer_dlpack(PyObject* self, PyObject* arguments, PyObject* keywords) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const auto array =
            py::reinterpret_steal<py::object>(buffer_array(self, py::tuple{}.ptr(), nullptr));
        if (!array) return nullptr;
        const auto keyword_dict =
            keywords == nullptr ? py::dict{} : py::reinterpret_borrow<py::dict>(keywords);
        return array
            .attr("__dlpack__")(*py::reinterpret_borrow<py::tuple>(arguments), **keyword_dict)
            .release()
            .ptr();
    });
}

PyObject* buffer_dlpack_device(PyObject*, PyObject*) {
    constexpr int cpu = 1;
    return Py_BuildValue("(ii)", cpu, 0);
}

PyObject* buffer_repr(PyObject* self) {
    const CriticalSection section{self};
    Buffer* const buffer = as_buffer(self);
    if (buffer->released) return PyUnicode_FromString("<numpool.Buffer, released>");
    if (has_ended(buffer)) return PyUnicode_FromString("<numpool.Buffer, ended by its arena>");
    return guarded<PyObject*>(nullptr, [&] {
        const threads::Pool* const pool = pool_behind(buffer->holding);
        return PyUnicode_FromFormat(
            "<numpool.Buffer of %s at %p%s%s>",
            size_to_text(static_cast<std::size_t>(buffer->holding.bytes)).c_str(),
            static_cast<void*>(buffer->holding.block), pool == nullptr ? "" : " from ",
            pool == nullptr ? "" : pool->title().c_str());
    });
}

Py_ssize_t buffer_length(PyObject* self) {
    const CriticalSection section{self};
    return require_unreleased(as_buffer(self)) ? as_buffer(self)->holding.bytes : -1;
}

PyObject* buffer_nbytes(PyObject* self, void*) {
    const Py_ssize_t length = buffer_length(self);
    return length < 0 ? nullptr : PyLong_FromSsize_t(length);
}

PyObject* buffer_address(PyObject* self, void*) {
    const CriticalSection section{self};
    if (!require_unreleased(as_buffer(self))) return nullptr;
    return PyLong_FromVoidPtr(as_buffer(self)->holding.block);
}

PyObject* buffer_pool(PyObject* self, void*) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const CriticalSection section{self};
        if (!require_unreleased(as_buffer(self))) return nullptr;
        return object_of(pool_behind(as_buffer(self)->holding)).release().ptr();
    });
}

PyObject* buffer_released(PyObject* self, void*) {
    const CriticalSection section{self};
    return PyBool_FromLong(as_buffer(self)->released || has_ended(as_buffer(self)));
}

template <class Function>
PyCFunction as_method(Function* function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}

PyMethodDef methods[] = {
    {"release", buffer_release, METH_NOARGS,
     "release($self, /)\n--\n\n"
     "Give the block back to its pool now. Raises BufferError, and keeps the block, while a\n"
     "memoryview, an array or a DLPack consumer still uses it. Any other use of the buffer\n"
     "afterwards raises ValueError; releasing it again does nothing."},
    {"array", as_method(buffer_array), METH_VARARGS | METH_KEYWORDS,
     "array($self, /, dtype=None, shape=None)\n--\n\n"
     "An ndarray on the block, without a copy. Without a dtype it is of bytes, and without a "
     "shape\n"
     "it has as many items as the block holds. The array keeps the block in use, also when the\n"
     "buffer is gone. Its items are not initialised."},
    {"__enter__", buffer_enter, METH_NOARGS, "__enter__($self, /)\n--\n\nThe buffer itself."},
    {"__exit__", as_method(buffer_exit), METH_FASTCALL,
     "__exit__($self, /, *exc_info)\n--\n\n"
     "Release the buffer: any later use of it raises ValueError. The block goes back to its pool\n"
     "now, or with its last view. Unlike release(), this does not raise while a view lives."},
    {"__reduce_ex__", buffer_reduce, METH_O,
     "__reduce_ex__($self, protocol, /)\n--\n\n"
     "Pickles the bytes, out of band with protocol 5. An unpickled buffer belongs to no pool."},
    {"__dlpack__", as_method(buffer_dlpack), METH_VARARGS | METH_KEYWORDS,
     "__dlpack__($self, /, **keywords)\n--\n\n"
     "The block as a DLPack tensor of bytes; the keywords are those of the array API."},
    {"__dlpack_device__", buffer_dlpack_device, METH_NOARGS,
     "__dlpack_device__($self, /)\n--\n\nThe device of the block for DLPack: the CPU."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"nbytes", buffer_nbytes, nullptr, "How many bytes the buffer has.", nullptr},
    {"address", buffer_address, nullptr, "The address of the first byte.", nullptr},
    {"pool", buffer_pool, nullptr, "The pool that the block belongs to; None after unpickling.",
     nullptr},
    {"released", buffer_released, nullptr,
     "Whether release() was called, or the block's arena was reset or closed.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Buffer, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

constexpr const char* doc =
    "A block of a pool: writable bytes, handed out by a pool's acquire().\n\n"
    "It exports its bytes to memoryview(), numpy.frombuffer(), numpy.from_dlpack() and everything\n"
    "else that reads buffers. The block goes back to the pool when release() is called, or when\n"
    "the buffer and all its views are gone. The end of a with block releases the buffer.";

}  // namespace

Buffer* new_buffer(const Holding& holding) noexcept {
    auto* const buffer = PyObject_New(Buffer, buffer_type);
    if (buffer == nullptr) return nullptr;
    count_references_together(&buffer->ob_base);
    buffer->holding = holding;
    buffer->lease = nullptr;
    buffer->weak_references = nullptr;
    buffer->released = false;
    buffer->pinned = false;
    if (holding.traced) numpool_track(holding.block, static_cast<std::size_t>(holding.bytes));
    return buffer;
}

bool is_buffer(PyObject* object) noexcept {
    return Py_TYPE(object) == buffer_type;
}

void register_buffer(py::module_& module) {
    create_lease_type();
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void*>(buffer_dealloc)},
        {Py_tp_repr, reinterpret_cast<void*>(buffer_repr)},
        {Py_tp_methods, methods},
        {Py_tp_getset, properties},
        {Py_tp_members, members},
        {Py_tp_doc, const_cast<char*>(doc)},
        {Py_mp_length, reinterpret_cast<void*>(buffer_length)},
        {Py_bf_getbuffer, reinterpret_cast<void*>(buffer_getbuffer)},
        {Py_bf_releasebuffer, reinterpret_cast<void*>(buffer_releasebuffer)},
        {0, nullptr},
    };
    static PyType_Spec spec = {
        "numpool.Buffer",
        sizeof(Buffer),
        0,
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
        slots,
    };
    buffer_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (buffer_type == nullptr) throw py::error_already_set{};
    immortalise(reinterpret_cast<PyObject*>(buffer_type));
    module.attr("Buffer") = py::handle{reinterpret_cast<PyObject*>(buffer_type)};
    module.attr("tracemalloc_domain") = NUMPOOL_TRACEMALLOC_DOMAIN;
}

}  // namespace numpool::bindings
