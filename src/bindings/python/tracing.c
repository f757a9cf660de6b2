#include "bindings/python/tracing.h"

#include <Python.h>
#include <stdint.h>

void numpool_track(const void* block, size_t bytes) {
    PyTraceMalloc_Track(NUMPOOL_TRACEMALLOC_DOMAIN, (uintptr_t)block, bytes);
}

void numpool_untrack(const void* block) {
    PyTraceMalloc_Untrack(NUMPOOL_TRACEMALLOC_DOMAIN, (uintptr_t)block);
}
