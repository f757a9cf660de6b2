#pragma once

#include <cstddef>

namespace numpool::threads {

/// The four verbs of C's allocators for a SharedSlabPool, whose address is `context`: what NumPy's
/// and others' tables of functions want. None throws, calls back, or needs anything but the pool.

/// Null where it is refused. 0 bytes are a block.
void* slab_malloc(void* context, std::size_t bytes) noexcept;

/// `count * size` zero bytes; null, too, where the product overflows.
void* slab_calloc(void* context, std::size_t count, std::size_t size) noexcept;

/// The old block is as it was where null is returned, as it is for a block that is not the pool's.
void* slab_realloc(void* context, void* block, std::size_t bytes) noexcept;

/// `bytes` is a hint; null is ignored. What is not the pool's is left alone: who may be given
/// strangers asks `SharedSlabPool::try_release`.
void slab_free(void* context, void* block, std::size_t bytes) noexcept;

}  // namespace numpool::threads
