#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/size_text.hpp"
#include "bindings/buffer/lease.hpp"
#include "bindings/python/classes.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/parameters.hpp"
#include "bindings/python/python_pool.hpp"
#include "bindings/python/sizes.hpp"
#include "bindings/python/tracing.h"
#include "threads/handle/shared_handle_pool.hpp"

NUMPOOL_REQUIRE_INITIALISED(numpool::threads::SharedHandlePool)

namespace numpool::bindings {
namespace {

using pools::Handle;
using threads::PoolFigures;
using threads::SharedHandlePool;
using threads::SharedHandlePoolOptions;

/// A copy of a dict's items: converting one of them may run code that changes the dict.
std::vector<std::pair<py::object, py::object>> items_of(const py::dict& dict) {
    std::vector<std::pair<py::object, py::object>> items;
    items.reserve(dict.size());
    for (const auto& [key, value] : dict)
        items.emplace_back(py::reinterpret_borrow<py::object>(key),
                           py::reinterpret_borrow<py::object>(value));
    return items;
}

threads::PoolHandle<SharedHandlePool> create(const Given& given) {
    const py::object sizes = given("sizes");
    const bool has_items = py::isinstance<py::dict>(sizes) ||
                           (PyMapping_Check(sizes.ptr()) && py::hasattr(sizes, "keys"));
    if (!has_items) {
        throw py::type_error{std::string{"sizes must be a dict of block sizes and their numbers, "
                                         "as in {64: 1000}, not "} +
                             Py_TYPE(sizes.ptr())->tp_name};
    }
    SharedHandlePoolOptions options;
    for (const auto& [block_size, blocks] : items_of(py::dict{sizes})) {
        options.sizes.emplace_back(to_size(block_size, "a size"),
                                   to_count(blocks, "a number of blocks"));
    }
    options.ending = numpool_untrack;
    options.name = to_name(given("name", ""));
    return SharedHandlePool::create(options);
}

/// The handle that a Python object stands for. Throws a type_error where that is no integer, Stale
/// where it is too large.
Handle to_handle(const SharedHandlePool& pool, PyObject* object) {
    if (!PyIndex_Check(object)) {
        throw py::type_error{std::string{"a handle is an int, as alloc() returns it, not "} +
                             Py_TYPE(object)->tp_name};
    }
    const auto number = py::reinterpret_steal<py::object>(PyNumber_Index(object));
    if (!number) throw py::error_already_set{};
    int overflow = 0;
    const long long handle = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
    if (handle == -1 && PyErr_Occurred() != nullptr) throw py::error_already_set{};
    if (overflow != 0) throw Stale{pool.title() + ": no handle is so large a number"};
    return handle;
}

PyObject* alloc(PyObject* self, PyObject* nbytes) {
    return guarded<PyObject*>(nullptr, [&] {
        auto& pool = pool_in<SharedHandlePool>(self);
        const std::size_t bytes = to_size(nbytes, "nbytes");
        const Handle handle = pool.acquire(bytes);
        if (const auto block = pool.find(handle)) numpool_track(block.start, bytes);
        PyObject* const number = PyLong_FromLongLong(handle);
        if (number != nullptr) return number;
        pool.free(handle);
        throw py::error_already_set{};
    });
}

PyObject* subscript(PyObject* self, PyObject* key) {
    return guarded<PyObject*>(nullptr, [&] {
        auto& pool = pool_in<SharedHandlePool>(self);
        const auto block = pool.hold(to_handle(pool, key));
        Lease* const lease = new_lease({.owner = &pool,
                                        .block = block.start,
                                        .bytes = static_cast<Py_ssize_t>(block.bytes),
                                        .traced = false});
        if (lease == nullptr) {
            pool.release(block.start);
            throw py::error_already_set{};
        }
        const auto holder = py::reinterpret_steal<py::object>(&lease->ob_base);
        return PyMemoryView_FromObject(holder.ptr());
    });
}

PyObject* free(PyObject* self, PyObject* key) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        auto& pool = pool_in<SharedHandlePool>(self);
        const Handle handle = to_handle(pool, key);
        const std::size_t views = pool.free(handle);
        if (views == 0) Py_RETURN_NONE;
        PyErr_Format(PyExc_BufferError,
                     "%s: the block of handle %lld is still in use by %zu view%s (memoryview or "
                     "array): drop %s first",
                     pool.title().c_str(), static_cast<long long>(handle), views,
                     views == 1 ? "" : "s", views == 1 ? "it" : "them");
        return nullptr;
    });
}

PyObject* try_free(PyObject* self, PyObject* key) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        auto& pool = pool_in<SharedHandlePool>(self);
        try {
            return PyBool_FromLong(pool.free(to_handle(pool, key)) == 0);
        } catch (const Stale&) {
            Py_RETURN_FALSE;
        }
    });
}

Py_ssize_t length(PyObject* self) {
    return guarded<Py_ssize_t>(
        -1, [&] { return static_cast<Py_ssize_t>(pool_in<SharedHandlePool>(self).live_blocks()); });
}

int contains(PyObject* self, PyObject* key) {
    return guarded<int>(-1, [&] {
        auto& pool = pool_in<SharedHandlePool>(self);
        if (!PyIndex_Check(key)) return 0;
        try {
            return pool.find(to_handle(pool, key)) ? 1 : 0;
        } catch (const Stale&) {
            return 0;
        }
    });
}

PyObject* iterate(PyObject* self) {
    return guarded<PyObject*>(nullptr, [&] {
        py::list handles;
        for (const Handle handle : pool_in<SharedHandlePool>(self).live_handles()) {
            handles.append(py::int_{handle});
        }
        return PyObject_GetIter(handles.ptr());
    });
}

void become_a_container(PyHeapTypeObject* type) {
    give_own_layout(type);
    type->as_mapping.mp_subscript = subscript;
    type->as_mapping.mp_length = length;
    type->as_sequence.sq_contains = contains;
    type->ht_type.tp_iter = iterate;
}

py::object stats(const SharedHandlePool& pool) {
    py::list sizes;
    for (const auto& figures : pool.size_figures()) sizes.append(class_stats(figures));
    return stats_from(pool.figures(), py::tuple{sizes});
}

std::string repr(const SharedHandlePool& pool) {
    const PoolFigures figures = pool.figures();
    const std::string live = count_to_text(figures.blocks, "handle");
    std::string text = "<" + pool.title() + ": ";
    if (pool.closed())
        return text + (figures.blocks == 0 ? "closed>" : "closed, " + live + " live>");
    std::size_t blocks = 0;
    std::string sizes;
    for (const auto& [block_size, number] : pool.sizes()) {
        blocks += number;
        sizes += (sizes.empty() ? "" : ", ") + size_to_text(block_size);
    }
    return text + live + " live of " + std::to_string(blocks - pool.retired_blocks()) + ", of " +
           sizes + ">";
}

PyMethodDef methods[] = {
    {"alloc", alloc, METH_O,
     "alloc($self, nbytes, /)\n--\n\n"
     "The handle of a block of that many bytes, an int or a text like '64KiB': a positive int "
     "that\n"
     "fits into 64 bits. Raises PoolExhausted if no free block is large enough."},
    {"free", free, METH_O,
     "free($self, handle, /)\n--\n\n"
     "Release the block of a handle. Raises StaleHandle for any other integer, and BufferError\n"
     "while a view of the block lives. Then nothing has changed."},
    {"try_free", try_free, METH_O,
     "try_free($self, handle, /)\n--\n\n"
     "Like free(), but returns False instead of raising StaleHandle or BufferError, else True."},
};

constexpr const char* doc = R"(HandlePool(sizes, *, name="")
--

Blocks that are named by integers, called handles, and not by references.

A handle consists of the number of its pool, the block's index and a version, which changes with each
use of the block. So a handle that was freed does not lead to the block's next user: it raises
StaleHandle. So do handles of other pools and any other integer, and no memory is touched. No two
pools of a process ever give the same handle. Handles are ints: they can be sorted, hashed, pickled
and stored in arrays of int64. They keep nothing alive: a block is in use until it is freed or the
pool is gone.

pool[handle] is a memoryview of the requested bytes. len(pool) is the number of live handles, and
`handle in pool` and `for handle in pool` work, too.

Use it for very many small records that refer to each other, for names of blocks that go through
queues or arrays, and for blocks that may be freed before their users are gone.

sizes       a dict of block sizes, ints or texts like "4KiB", with the number of blocks of each size;
            a request gets the smallest free block that is large enough
name        shown in errors and reprs)";

}  // namespace

void register_handle_pool(py::module_& module) {
    py::class_<SharedHandlePool, threads::Pool, threads::PoolHandle<SharedHandlePool>> pool{
        module, "HandlePool", py::custom_type_setup{become_a_container}, doc};
    define_init(pool, doc, &create);
    pool.def_property_readonly(
            "sizes",
            [](const SharedHandlePool& self) {
                py::dict sizes;
                for (const auto& [block_size, blocks] : self.sizes()) {
                    sizes[py::int_{block_size}] = blocks;
                }
                return sizes;
            },
            "The block sizes and the number of blocks of each, the smallest size first.")
        .def_property_readonly("retired",
                               number<SharedHandlePool>(&SharedHandlePool::retired_blocks),
                               "The number of blocks that are not used any more, because they "
                               "have no version left. The blocks of a size share 2**49 versions.")
        .def("stats", &stats,
             "stats(self)\n--\n\n"
             "The pool's figures at this moment, as a PoolStats, also for each size.")
        .def("__repr__", &repr);
    add_methods(pool, methods);
}

}  // namespace numpool::bindings
