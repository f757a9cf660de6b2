/// `acquire` and its variants for pools of equal blocks: at once, many at a time, and with waiting
/// in a thread or in an event loop.

#include <cstring>
#include <vector>

#include "base/error.hpp"
#include "bindings/pools/python_fixed_pool.hpp"
#include "bindings/pools/python_reserve_pool.hpp"
#include "bindings/pools/waiting.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/sizes.hpp"

namespace numpool::bindings {
namespace {

using Block = FixedPool::Block;

/// The value of `timeout`, the only argument of these methods; null where it is not given.
PyObject* timeout_argument(const char* function, PyObject* const* arguments, Py_ssize_t count,
                           PyObject* names) {
    if (count != 0)
        throw py::type_error{std::string{function} +
                             "() takes no size, since all blocks of this pool have one; for a "
                             "timeout write " +
                             function + "(timeout=...)"};
    if (names == nullptr) return nullptr;
    if (PyTuple_GET_SIZE(names) != 1 ||
        PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "timeout") != 0) {
        throw py::type_error{std::string{function} + "() takes only the keyword 'timeout'"};
    }
    return arguments[0];
}

template <class SomePool>
PyObject* acquire(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
    return guarded<PyObject*>(nullptr, [&] {
        auto& pool = pool_in<SomePool>(self);
        PyObject* const timeout = timeout_argument("acquire", arguments, count, names);
        const auto deadline = timeout == nullptr ? std::nullopt : to_deadline(timeout);
        if (const Block block = pool.try_acquire()) return pool.hand_out(block);
        if (const Block block = pool.acquire_kept()) return pool.hand_out(block);
        if (!deadline) pool.throw_exhausted(1, SomePool::usual_advice);
        if (const Block block = wait_for_block(pool, *deadline)) return pool.hand_out(block);
        pool.throw_exhausted(1, in_vain(timeout));
    });
}

template <class SomePool>
PyObject* try_acquire(PyObject* self, PyObject*) {
    return guarded<PyObject*>(nullptr, [&] {
        auto& pool = pool_in<SomePool>(self);
        if (const Block block = pool.try_acquire()) return pool.hand_out(block);
        if (const Block block = pool.acquire_kept()) return pool.hand_out(block);
        Py_RETURN_NONE;
    });
}

PyObject* acquire_many(PyObject* self, PyObject* n) {
    return guarded<PyObject*>(nullptr, [&] {
        auto& pool = pool_in<FixedPool>(self);
        const std::size_t count = to_count(n, "n");
        std::vector<Block> blocks(count <= pool.max_blocks() ? count : 0);
        if (blocks.size() != count || !pool.acquire_all(blocks)) {
            pool.throw_exhausted(
                count, count > pool.max_blocks()
                           ? ": ask for fewer, or create it with more blocks"
                           : ": release some, ask for fewer, or allow more with max_blocks");
        }
        // Not a list yet: the garbage collector could show it to Python code while it is half full.
        std::vector<py::object> buffers;
        std::size_t done = 0;
        try {
            buffers.reserve(count);
            for (; done < count; ++done) {
                buffers.push_back(py::reinterpret_steal<py::object>(pool.hand_out(blocks[done])));
            }
        } catch (...) {
            // `hand_out` has released the block that failed. Those before it go with their buffers.
            while (++done < count) return_unseen(pool, blocks[done]);
            throw;
        }
        py::list list{count};
        for (std::size_t i = 0; i < count; ++i) {
            PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), buffers[i].release().ptr());
        }
        return list.release().ptr();
    });
}

PyObject* acquire_async(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* names) {
    return guarded<PyObject*>(nullptr, [&] {
        PyObject* timeout = timeout_argument("acquire_async", arguments, count, names);
        if (timeout == nullptr) timeout = Py_None;
        static_cast<void>(to_deadline(timeout));  // Refuses a bad timeout now.
        const py::object acquire_async =
            py::module_::import("numpool._waiting").attr("acquire_async");
        return calling_python([&] {
            return PyObject_CallFunctionObjArgs(acquire_async.ptr(), self, timeout, nullptr);
        });
    });
}

template <class SomePool>
PyMethodDef methods[] = {
    {"acquire", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(acquire<SomePool>)),
     METH_FASTCALL | METH_KEYWORDS,
     "acquire($self, /, *, timeout=0)\n--\n\n"
     "A buffer on a free block. If there is none, wait up to timeout seconds for a release (0:\n"
     "not at all, None: for ever), and then raise PoolExhausted. Waiting calls are served in\n"
     "their order. They do not hold the GIL, and Ctrl-C interrupts them."},
    {"try_acquire", try_acquire<SomePool>, METH_NOARGS,
     "try_acquire($self, /)\n--\n\nA buffer on a free block, or None if there is none."},
    {"acquire_async", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(acquire_async)),
     METH_FASTCALL | METH_KEYWORDS,
     "acquire_async($self, /, *, timeout=None)\n--\n\n"
     "A coroutine that waits for a block without blocking its event loop, and returns a buffer:\n"
     "`await pool.acquire_async()`, or `async with pool.acquire_async() as buffer`, which\n"
     "releases the buffer at its end. It waits for ever, or raises PoolExhausted after timeout\n"
     "seconds. Tasks and threads wait in the same queue, and several loops may wait for one pool.\n"
     "A cancelled task loses no block."},
};

PyMethodDef fixed_pool_methods[] = {
    {"acquire_many", acquire_many, METH_O,
     "acquire_many($self, n, /)\n--\n\n"
     "A list of n buffers; if there are fewer free blocks, raise PoolExhausted and take none."},
};

}  // namespace

template <>
void add_acquire_methods<FixedPool>(py::handle type) {
    add_methods(type, methods<FixedPool>);
    add_methods(type, fixed_pool_methods);
}

template <>
void add_acquire_methods<ReservePool>(py::handle type) {
    add_methods(type, methods<ReservePool>);
}

}  // namespace numpool::bindings
