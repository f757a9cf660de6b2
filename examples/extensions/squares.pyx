# cython: language_level=3
"""The same extension in Cython."""

cdef extern from "numpool/c_api.h":
    ctypedef struct NumpoolPool:
        pass
    ctypedef struct NumpoolApi:
        NumpoolPool* (*pool_from)(object) except NULL
        void (*drop)(NumpoolPool*) noexcept nogil
        void* (*acquire)(NumpoolPool*, size_t) noexcept nogil
        void (*release)(NumpoolPool*, void*, size_t) noexcept nogil
        object (*set_refusal)(NumpoolPool*, size_t)
        object (*array)(NumpoolPool*, void*, size_t, object, int, const Py_ssize_t*)
    const NumpoolApi* numpool_import() except NULL

cdef const NumpoolApi* numpool = numpool_import()


cdef double* computed(NumpoolPool* pool, Py_ssize_t count) noexcept nogil:
    cdef double* block = <double*>numpool.acquire(pool, count * sizeof(double))
    cdef Py_ssize_t i
    if block != NULL:
        for i in range(count):
            block[i] = <double>i * <double>i
    return block


def squares(Py_ssize_t count, pool=None):
    """squares(count, pool=None): 0, 1, 4, ... in a pool."""
    cdef NumpoolPool* reference
    cdef double* block
    cdef size_t size = count * sizeof(double)
    if count < 0 or count > <Py_ssize_t>((<size_t>-1) // 2 // sizeof(double)):
        raise ValueError(f"no pool has room for {count} numbers")
    reference = numpool.pool_from(pool)
    try:
        with nogil:
            block = computed(reference, count)
        if block == NULL:
            numpool.set_refusal(reference, size)
        try:
            return numpool.array(reference, block, size, "float64", 1, &count)
        except:
            numpool.release(reference, block, size)
            raise
    finally:
        numpool.drop(reference)
