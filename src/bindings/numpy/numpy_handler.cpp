#include "bindings/numpy/numpy_handler.hpp"

#include <memory>

#include "threads/slab/allocator_functions.hpp"

namespace numpool::bindings {
namespace {

using threads::Pool;

constexpr const char* capsule_name = "mem_handler";

/// The pool, which may be null. Throws a type_error where it is no ByteSource.
Pool* checked(Pool* pool) {
    if (pool != nullptr && dynamic_cast<threads::ByteSource*>(pool) == nullptr) {
        throw py::type_error{pool->title() +
                             " can't serve NumPy: it hands out no memory of the size asked for, "
                             "as SlabPool, FixedPool, Arena, BuddyPool and SharedPool do"};
    }
    return pool;
}
const Fallback& checked(const Fallback& fallback) {
    checked(fallback.pool.get());
    return fallback;
}

/// What a capsule of ours points to.
struct Capsuled {
    PyDataMem_Handler handler;
    NumpyHandler pools;

    Capsuled(Pool& pool, const Fallback& fallback)
        : handler{"numpool", 1, {}}, pools{pool, fallback} {
        handler.allocator = pools.functions();
    }

    static Capsuled* in(PyObject* capsule) noexcept {
        return static_cast<Capsuled*>(PyCapsule_GetPointer(capsule, capsule_name));
    }
};

void end_capsule(PyObject* capsule) {
    delete Capsuled::in(capsule);
}

}  // namespace

NumpyHandler::NumpyHandler(Pool& pool, const Fallback& fallback)
    : PoolWithFallback{*checked(&pool), checked(fallback)} {}

PyDataMemAllocator NumpyHandler::functions() noexcept {
    const bool numpy_1 = PyArray_GetNDArrayCFeatureVersion() < NPY_2_0_API_VERSION;
    const threads::AllocatorTable table = numpy_1 ? threads::allocator_functions<true>(this)
                                                  : threads::allocator_functions<false>(this);
    return {table.context, table.malloc, table.calloc, table.realloc, table.free};
}

py::object NumpyHandler::capsule(Pool& pool, const Fallback& fallback) {
    auto handler = std::make_unique<Capsuled>(pool, fallback);
    const auto capsule = py::reinterpret_steal<py::object>(
        PyCapsule_New(&handler->handler, capsule_name, end_capsule));
    if (!capsule) throw py::error_already_set{};
    static_cast<void>(handler.release());
    return capsule;
}

void NumpyHandler::name_refusal(py::handle error) const {
    if (!PyExceptionInstance_Check(error.ptr()) ||
        PyErr_GivenExceptionMatches(error.ptr(), PyExc_MemoryError) == 0)
        return;
    const std::string text = pop_refusal();
    if (text.empty()) return;
#if PY_VERSION_HEX >= 0x030b0000
    error.attr("add_note")("numpool: " + text);
#else
    // Exceptions take no notes yet. What the pool refused is the cause of the error.
    const auto known = py::reinterpret_steal<py::object>(PyException_GetCause(error.ptr()));
    if (known) return;
    py::object cause = py::module_::import("numpool").attr("PoolExhausted")(text);
    PyException_SetContext(cause.ptr(), PyException_GetContext(error.ptr()));
    PyException_SetCause(error.ptr(), cause.release().ptr());
#endif
}

NumpyHandler* NumpyHandler::in(PyObject* capsule) noexcept {
    if (PyCapsule_GetDestructor(capsule) != end_capsule) {
        PyErr_Clear();
        return nullptr;
    }
    return &Capsuled::in(capsule)->pools;
}

}  // namespace numpool::bindings
