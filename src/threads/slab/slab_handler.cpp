#include "threads/slab/slab_handler.hpp"

#include "threads/slab/shared_slab_pool.hpp"

namespace numpool::threads {

// Those that are called for each block begin at a cache line: where they happened to begin the same
// instructions took 2.6 ns or 3.3.
[[gnu::aligned(64)]] void* slab_malloc(void* context, std::size_t bytes) noexcept {
    return static_cast<SharedSlabPool*>(context)->try_acquire(bytes);
}

void* slab_calloc(void* context, std::size_t count, std::size_t size) noexcept {
    std::size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
    return static_cast<SharedSlabPool*>(context)->try_acquire_zeroed(bytes);
}

void* slab_realloc(void* context, void* block, std::size_t bytes) noexcept {
    return static_cast<SharedSlabPool*>(context)->try_reallocate(block, bytes);
}

[[gnu::aligned(64)]] void slab_free(void* context, void* block, std::size_t bytes) noexcept {
    static_cast<SharedSlabPool*>(context)->try_release(block, bytes);
}

}  // namespace numpool::threads
