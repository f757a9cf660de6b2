#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// numpool's domain in tracemalloc.
#define NUMPOOL_TRACEMALLOC_DOMAIN 0x6e756d70u

/// Reports the begin and the end of a block's use to tracemalloc. Cheap while that does not trace.
/// In C, because the headers of CPython 3.11 to 3.13 declare its functions without extern "C".
void numpool_track(const void* block, size_t bytes);
void numpool_untrack(const void* block);

#ifdef __cplusplus
}
#endif
