/// numpool for other extensions, in C99 or C++. There is nothing to link: the functions come at run
/// time from the installed numpool.
///
///     const NumpoolApi* api = numpool_import();       // once, when your module is initialised
///     NumpoolPool* pool = api->pool_from(NULL);       // the default pool
///     double* block = (double*)api->acquire(pool, count * sizeof(double));
///     if (block == NULL) return api->set_refusal(pool, count * sizeof(double));
///
/// A function whose comment says [GIL] must be called with the GIL, or with an attached thread
/// state where Python has no GIL. It reports failure by NULL and a Python error. The others may be
/// called from any thread, with or without the GIL, and never set a Python error.
#ifndef NUMPOOL_C_API_H
#define NUMPOOL_C_API_H

#include <Python.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The version of this header. Each version adds members at the end of NumpoolApi.
#define NUMPOOL_C_API_VERSION 1

/// A reference to a pool. Who got it from a function drops it.
typedef struct NumpoolPool NumpoolPool;

/// The value of `limit` where there is none.
#define NUMPOOL_UNLIMITED ((size_t)-1)

/// A pool's figures at one moment.
typedef struct NumpoolFigures {
    size_t limit;     ///< the most bytes that may be in use; NUMPOOL_UNLIMITED where nothing bounds
    size_t in_use;    ///< bytes of live blocks, as the pool rounds them
    size_t peak;      ///< the most that in_use has been
    size_t cached;    ///< bytes that the pool keeps for later
    size_t failures;  ///< requests that were refused
} NumpoolFigures;

typedef struct NumpoolApi {
    /// The newest and the oldest version of this header that the installed numpool serves.
    int version;
    int oldest;
    /// numpool.__version__
    const char* numpool_version;

    // Pools.

    /// [GIL] A new reference to the pool of a Python object: a SlabPool, FixedPool, Arena,
    /// BuddyPool or SharedPool. For None and NULL, to the default pool. TypeError for others.
    NumpoolPool* (*pool_from)(PyObject* pool);
    /// A new reference to the pool whose memory the address is in; NULL where it is in none that
    /// `pool_from` takes.
    NumpoolPool* (*owner)(const void* address);
    /// Ends a reference; NULL is ignored. A pool lives while it has a reference, a Python object or
    /// a live block.
    void (*drop)(NumpoolPool* pool);
    /// [GIL] The pool's Python object, a new reference.
    PyObject* (*object_from)(NumpoolPool* pool);
    /// The pool's figures. It may wait for the pool's lock.
    void (*figures)(NumpoolPool* pool, NumpoolFigures* figures);

    // Blocks. A block is aligned for any object of its size, to 16 at most.

    /// A block of at least so many bytes, also for 0. NULL where it is refused.
    void* (*acquire)(NumpoolPool* pool, size_t bytes);
    /// The same, zeroed.
    void* (*acquire_zeroed)(NumpoolPool* pool, size_t bytes);
    /// A block of `bytes` with the contents of this one, as far as both reach; this one is
    /// released. NULL where it is refused: the block is then as it was.
    void* (*reallocate)(NumpoolPool* pool, void* block, size_t bytes);
    /// Takes a live block of this pool back; NULL is ignored. `bytes` is the size that was asked
    /// for, or 0: with it, a release is faster. Aborts where the block is not this pool's.
    void (*release)(NumpoolPool* pool, void* block, size_t bytes);
    /// How many bytes fit into the live block that starts at this address; 0 where the address is
    /// not this pool's.
    size_t (*usable_size)(NumpoolPool* pool, const void* block);
    /// [GIL] Sets the error of a request for so many bytes that was refused: PoolExhausted, whose
    /// text has the pool, the limit and what to do, or PoolClosed. Returns NULL, to be returned.
    PyObject* (*set_refusal)(NumpoolPool* pool, size_t bytes);

    // Arrays.

    /// [GIL] A C-contiguous ndarray on a live block of this pool. The array owns the block, which
    /// goes back with the last view of it. `bytes` is the size that was asked for. `dtype` is what
    /// numpy.dtype takes; NULL stands for bytes. A negative `ndim` gives one dimension with as many
    /// items as fit. Where it fails, the block is still yours.
    PyObject* (*array)(NumpoolPool* pool, void* block, size_t bytes, PyObject* dtype, int ndim,
                       const Py_ssize_t* shape);
} NumpoolApi;

/// [GIL] The functions of the installed numpool, which it imports. ImportError where numpool is
/// missing, or does not serve this version of the header.
static inline const NumpoolApi* numpool_import(void) {
    const NumpoolApi* const api = (const NumpoolApi*)PyCapsule_Import("numpool._C_API", 0);
    if (api == NULL) return NULL;
    if (api->oldest <= NUMPOOL_C_API_VERSION && NUMPOOL_C_API_VERSION <= api->version) return api;
    PyErr_Format(PyExc_ImportError,
                 "this extension was built for version %d of numpool's C API, and numpool %s "
                 "serves versions %d to %d: %s",
                 NUMPOOL_C_API_VERSION, api->numpool_version, api->oldest, api->version,
                 api->version < NUMPOOL_C_API_VERSION ? "install a newer numpool"
                                                      : "build it with this numpool's header");
    return NULL;
}

#ifdef __cplusplus
}
#endif

#endif
