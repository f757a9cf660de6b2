/// The capsule `numpool._C_API`. The table is constant, so an import makes only the capsule.

#include "bindings/c_api/c_api.h"

#include <new>
#include <string>

#include "base/error.hpp"
#include "bindings/buffer/buffer.hpp"
#include "bindings/pools/python_fixed_pool.hpp"
#include "bindings/python/checks.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/python_pool.hpp"
#include "bindings/python/tracing.h"
#include "bindings/sources/default_pool.hpp"
#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/pool_listing.hpp"

/// A reference that a caller in C holds.
struct NumpoolPool {
    numpool::threads::PoolHandle<numpool::threads::Pool> pool;
    /// What serves the pool's users.
    numpool::threads::ByteSource& source;
};

namespace numpool::bindings {
namespace {

using threads::Pool;

Pool& named_pool(PyObject* object) {
    if (object == nullptr || object == Py_None) return default_pool();
    if (!py::isinstance<Pool>(object)) {
        throw py::type_error{std::string{"pool must be a pool of numpool or None, not "} +
                             Py_TYPE(object)->tp_name};
    }
    return py::handle{object}.cast<Pool&>();
}

NumpoolPool* pool_from(PyObject* object) {
    return guarded<NumpoolPool*>(nullptr, [&] {
        Pool& pool = named_pool(object);
        threads::ByteSource* const source = threads::source_of(pool);
        if (source == nullptr) {
            throw py::type_error{pool.title() +
                                 " can't serve the C API: it hands out no memory of the size asked "
                                 "for, as SlabPool, FixedPool, Arena, BuddyPool and SharedPool do"};
        }
        return new NumpoolPool{threads::PoolHandle<Pool>{&pool}, *source};
    });
}

NumpoolPool* owner_of(const void* address) {
    const auto pool = threads::PoolListing::find(static_cast<const std::byte*>(address));
    if (pool.get() == nullptr) return nullptr;
    threads::ByteSource* const source = threads::source_of(*pool);
    return source == nullptr ? nullptr : new (std::nothrow) NumpoolPool{pool, *source};
}

void drop(NumpoolPool* pool) {
    delete pool;
}

PyObject* object_from(NumpoolPool* pool) {
    return guarded<PyObject*>(nullptr, [&] { return object_of(pool->pool.get()).release().ptr(); });
}

void figures(NumpoolPool* pool, NumpoolFigures* figures) {
    const threads::PoolFigures now = figures_of(*pool->pool);
    *figures = {now.limit, now.in_use, now.peak, now.cached, now.failures};
}

void* acquire(NumpoolPool* pool, size_t bytes) {
    return pool->source.try_acquire(bytes);
}

void* acquire_zeroed(NumpoolPool* pool, size_t bytes) {
    return pool->source.try_acquire_zeroed(bytes);
}

void* reallocate(NumpoolPool* pool, void* block, size_t bytes) {
    return pool->source.try_reallocate(block, bytes);
}

void release(NumpoolPool* pool, void* block, size_t bytes) {
    if (pool->source.try_release(block, bytes)) return;
    pool->pool->release(static_cast<std::byte*>(block), bytes);  // Says what is wrong, and aborts.
}

size_t usable_size(NumpoolPool* pool, const void* block) {
    return pool->source.usable_size(block);
}

PyObject* set_refusal(NumpoolPool* pool, size_t bytes) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        require_open(*pool->pool);
        throw Exhausted{pool->source.refusal(bytes)};
    });
}

/// The block of the pool, whose use ends as `release` ends it.
Holding holding_of(const NumpoolPool& pool, void* block, std::size_t bytes) {
    if (!threads::is_in_pool_or_layer(*pool.pool, static_cast<std::byte*>(block)) ||
        pool.source.usable_size(block) < bytes) {
        throw BadArgument{pool.pool->title() + " has no live block of " + std::to_string(bytes) +
                          " bytes at this address: give a block that it handed out, and at most "
                          "the size that was asked for"};
    }
    Holding holding{pool.pool.get(), static_cast<std::byte*>(block),
                    static_cast<Py_ssize_t>(bytes)};
    if (threads::BlockLayer* const layer = pool.pool->layer()) {
        holding.owner = layer;
    } else if (const auto* const fixed = dynamic_cast<const FixedPool*>(pool.pool.get())) {
        // What its `init` wrote is not there any more.
        holding.constructed = fixed->init() == nullptr;
    }
    return holding;
}

py::object shape_from(int ndim, const Py_ssize_t* shape) {
    if (ndim < 0) return py::none{};
    if (ndim > 0 && shape == nullptr)
        throw BadArgument{"shape is NULL: give as many numbers as there are dimensions"};
    auto dimensions = py::reinterpret_steal<py::object>(PyTuple_New(ndim));
    if (!dimensions) throw py::error_already_set{};
    for (int i = 0; i < ndim; ++i) {
        PyObject* const one = PyLong_FromSsize_t(shape[i]);
        if (one == nullptr) throw py::error_already_set{};
        PyTuple_SET_ITEM(dimensions.ptr(), i, one);
    }
    return dimensions;
}

PyObject* array(NumpoolPool* pool, void* block, size_t bytes, PyObject* dtype, int ndim,
                const Py_ssize_t* shape) {
    return guarded<PyObject*>(nullptr, [&] {
        const Holding holding = holding_of(*pool, block, bytes);
        const py::object dimensions = shape_from(ndim, shape);
        Lease* const lease = new_lease(holding);
        if (lease == nullptr) throw py::error_already_set{};
        PyObject* const made =
            array_on(lease, dtype == nullptr ? Py_None : dtype, dimensions.ptr());
        if (made == nullptr) {
            lease->holding.owner = nullptr;  // The block stays the caller's.
        } else {
            numpool_track(block, bytes);
        }
        Py_DECREF(&lease->ob_base);
        return made;
    });
}

constexpr NumpoolApi table{
    .version = NUMPOOL_C_API_VERSION,
    .oldest = 1,
    .numpool_version = NUMPOOL_VERSION,
    .pool_from = pool_from,
    .owner = owner_of,
    .drop = drop,
    .object_from = object_from,
    .figures = figures,
    .acquire = acquire,
    .acquire_zeroed = acquire_zeroed,
    .reallocate = reallocate,
    .release = release,
    .usable_size = usable_size,
    .set_refusal = set_refusal,
    .array = array,
};

}  // namespace

void register_c_api(py::module_& module) {
    // Nothing writes to the table, but a capsule takes a pointer that could.
    PyObject* const capsule =
        PyCapsule_New(const_cast<NumpoolApi*>(&table), "numpool._C_API", nullptr);
    if (capsule == nullptr) throw py::error_already_set{};
    module.attr("_C_API") = py::reinterpret_steal<py::object>(capsule);
}

}  // namespace numpool::bindings
