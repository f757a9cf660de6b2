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
     "fits into 64 bits. Raises PoolExhausted where no block of the size, nor of a larger one, is\n"
     "left."},
    {"free", free, METH_O,
     "free($self, handle, /)\n--\n\n"
     "End the use of a handle's block. Raises StaleHandle for any other integer, and BufferError\n"
     "while a view of the block lives; nothing has changed then."},
    {"try_free", try_free, METH_O,
     "try_free($self, handle, /)\n--\n\n"
     "Whether the block was given back: False where free() would raise StaleHandle or "
     "BufferError."},
};

constexpr const char* doc = R"(HandlePool(sizes, *, name="")
--

Blocks that are known by integer handles, not by references.

A handle holds the number of its pool, the block's index and its version, which changes with each
use. A handle that was freed leads nowhere, also when its block is in use again. Neither do handles
of other pools and other integers: they raise StaleHandle, and nothing is touched. No two pools of a
process ever give the same handle. Handles sort, hash and pickle as the ints they are, and fit into
arrays of int64. They keep nothing alive: a block is in use until it is freed or the pool is gone.

pool[handle] is a memoryview of the bytes that were asked for; handle in pool, len(pool) and
iterating tell of the live handles.

Use it where references are too many or can't go: tables of many small records that point at each
other, handles that cross threads, queues or arrays, and owners that may be gone before their users.

sizes       a dict of block sizes, ints or texts like "4KiB", and how many blocks there are of each;
            a request gets the smallest that fits and is left
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
            "The block sizes with their numbers of blocks, from the smallest on.")
        .def_property_readonly("retired",
                               number<SharedHandlePool>(&SharedHandlePool::retired_blocks),
                               "Blocks whose versions ran out, so they are not used any more: "
                               "after 2**49 uses of a size, shared by as many blocks as it has.")
        .def("stats", &stats,
             "stats(self)\n--\n\n"
             "The pool's figures at this moment, as a PoolStats, by size too.")
        .def("__repr__", &repr);
    add_methods(pool, methods);
}

}  // namespace numpool::bindings
