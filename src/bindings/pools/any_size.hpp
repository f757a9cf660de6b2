#pragma once

#include <atomic>

#include "base/error.hpp"
#include "bindings/buffer/buffer.hpp"
#include "bindings/python/checks.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/free_threading.hpp"
#include "bindings/python/python_pool.hpp"
#include "bindings/python/sizes.hpp"

namespace numpool::bindings {

/// A Buffer on a block. If that fails, the block goes back, and the error is thrown.
PyObject* to_buffer(Holding holding);

/// Throws the type_error of an `acquire` that was not called with `nbytes` alone.
[[noreturn]] void refuse_arguments(Py_ssize_t count, PyObject* names);

/// Throws Exhausted if `count` buffers of `bytes` cannot exist at once: they exceed the pool's
/// limit, or the Buffer objects alone exceed the memory of this process. Throws Closed if the pool
/// is.
void require_room_for_many(const threads::Pool& pool, std::size_t bytes, std::size_t count);

/// The Python methods `acquire`, `try_acquire` and `acquire_many` for pools with blocks of any
/// size. `Access` says how such a pool makes a Buffer:
///     using Pool
///     static PyObject* acquire(Pool&, std::size_t bytes)      throws Exhausted and Closed
///     static PyObject* try_acquire(Pool&, std::size_t bytes)  null where memory is refused
template <class Access>
struct AnySize {
    using Pool = typename Access::Pool;

    static PyObject* acquire(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                             PyObject* names) {
        return guarded<PyObject*>(nullptr, [&] {
            if (count != 1 || names != nullptr) [[unlikely]]
                refuse_arguments(count, names);
            return Access::acquire(pool_in<Pool>(self), to_size(arguments[0], "nbytes"));
        });
    }

    static PyObject* try_acquire(PyObject* self, PyObject* nbytes) {
        return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
            auto& pool = pool_in<Pool>(self);
            PyObject* const buffer = Access::try_acquire(pool, to_size(nbytes, "nbytes"));
            if (buffer != nullptr) return buffer;
            Py_RETURN_NONE;
        });
    }

    static py::list acquire_many(Pool& pool, const py::object& nbytes, const py::object& n) {
        const std::size_t bytes = to_size(nbytes, "nbytes");
        const std::size_t count = to_count(n, "n");
        constexpr std::size_t a_batch = 4096;
        // A few fail soon enough where there is no room, and cost no look at the figures.
        if (count > a_batch) require_room_for_many(pool, bytes, count);
        // Where one is refused, the others go back with the list.
        py::list buffers;
        for (std::size_t i = 0; i < count; ++i) {
            if (i % a_batch == a_batch - 1 && PyErr_CheckSignals() != 0)
                throw py::error_already_set{};
            buffers.append(py::reinterpret_steal<py::object>(Access::acquire(pool, bytes)));
        }
        return buffers;
    }

    /// Replaces the methods of another access, if there are any.
    static void add_to(py::handle pool) {
        static PyMethodDef methods[] = {
            {"acquire", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(acquire)),
             METH_FASTCALL | METH_KEYWORDS,
             "acquire($self, nbytes, /)\n--\n\n"
             "A buffer of exactly that many bytes: an int, also 0, or a text like '64KiB'. Raises\n"
             "PoolExhausted, and changes nothing, if the limit or the system refuses."},
            {"try_acquire", try_acquire, METH_O,
             "try_acquire($self, nbytes, /)\n--\n\nA buffer, or None where acquire() would raise "
             "PoolExhausted."},
        };
        add_methods(pool, methods);
        py::options options;
        options.disable_function_signatures();
        pool.attr("acquire_many") = py::cpp_function(
            &acquire_many, py::name("acquire_many"), py::is_method(pool), py::arg("nbytes"),
            py::arg("n"), py::pos_only(),
            "acquire_many(self, nbytes, n, /)\n--\n\n"
            "A list of n buffers of nbytes each. If one is refused, raise PoolExhausted and "
            "release the others.");
    }
};

/// The `Access` to a pool whose `acquire` throws and whose `try_acquire` returns null.
template <class SomePool>
struct BlockAccess {
    using Pool = SomePool;

    static PyObject* acquire(Pool& pool, std::size_t bytes) {
        return to_buffer({&pool, pool.acquire(bytes), static_cast<Py_ssize_t>(bytes)});
    }
    static PyObject* try_acquire(Pool& pool, std::size_t bytes) {
        if (std::byte* const block = pool.try_acquire(bytes))
            return to_buffer({&pool, block, static_cast<Py_ssize_t>(bytes)});
        if (pool.closed()) pool.acquire(bytes);  // Throws Closed.
        return nullptr;
    }
};

/// The same for a class with checked pools. Its methods replace those of BlockAccess when the first
/// checked pool is made, so programs without checks do not pay for it.
template <class SomePool>
struct CheckedAccess {
    using Pool = SomePool;

    static PyObject* acquire(Pool& pool, std::size_t bytes) {
        CheckedBlocks* const checks = checks_of(pool);
        if (checks == nullptr) return BlockAccess<Pool>::acquire(pool, bytes);
        return to_buffer({checks, checks->acquire(bytes), static_cast<Py_ssize_t>(bytes)});
    }
    static PyObject* try_acquire(Pool& pool, std::size_t bytes) {
        CheckedBlocks* const checks = checks_of(pool);
        if (checks == nullptr) return BlockAccess<Pool>::try_acquire(pool, bytes);
        if (std::byte* const block = checks->try_acquire(bytes))
            return to_buffer({checks, block, static_cast<Py_ssize_t>(bytes)});
        if (pool.closed()) checks->acquire(bytes);  // Throws Closed.
        return nullptr;
    }
};

/// Makes this a checked pool, before it hands out a block.
template <class SomePool>
void add_checks(SomePool& pool, const CheckedBlocksOptions& options) {
    check_blocks(pool, options);
    static std::atomic<bool> added = false;
    if (!added.exchange(true)) AnySize<CheckedAccess<SomePool>>::add_to(py::type::of<SomePool>());
}

/// The methods that a class has at first.
template <class SomePool>
void add_acquire_methods_of(py::handle type) {
    if (environment_names_checks()) return AnySize<CheckedAccess<SomePool>>::add_to(type);
    AnySize<BlockAccess<SomePool>>::add_to(type);
}

/// The Python method `reallocate`: a Buffer of `nbytes` with the contents of this one, which counts
/// as released. The pool's own `reallocate` throws where it refuses.
template <class SomePool>
py::object reallocate(SomePool& pool, const py::object& buffer, const py::object& nbytes) {
    const std::size_t bytes = to_size(nbytes, "nbytes");
    if (!is_buffer(buffer.ptr())) {
        throw py::type_error{std::string{"reallocate() takes a Buffer of this pool, not "} +
                             Py_TYPE(buffer.ptr())->tp_name};
    }
    auto* const old = reinterpret_cast<Buffer*>(buffer.ptr());
    const CriticalSection section{buffer.ptr()};
    if (!can_release(old)) throw py::error_already_set{};
    CheckedBlocks* const checks = checks_of(pool);
    const threads::BlockOwner* const owner =
        checks == nullptr ? static_cast<threads::BlockOwner*>(&pool) : checks;
    if (old->holding.owner != owner) throw BadArgument{"this buffer is not one of " + pool.title()};
    // Made first: nothing may fail once the pool has moved the block.
    Buffer* const renewed = new_buffer_without_block();
    if (renewed == nullptr) throw py::error_already_set{};
    const py::object result = py::reinterpret_steal<py::object>(&renewed->ob_base);
    std::byte* const block = checks == nullptr ? pool.reallocate(old->holding.block, bytes)
                                               : checks->reallocate(old->holding.block, bytes);
    replace_block(old, renewed, block, static_cast<Py_ssize_t>(bytes));
    return result;
}

}  // namespace numpool::bindings
