#include "peer_main.hpp"
#include "threads/slab/allocator_functions.hpp"
#include "threads/slab/pool_with_fallback.hpp"

namespace {

using numpool::threads::AllocatorTable;
using numpool::threads::SharedSlabPool;

numpool::threads::SharedSlabPoolOptions options() {
    numpool::threads::SharedSlabPoolOptions options;
#ifdef NUMPOOL_BENCHMARK_HUGE
    options.spans.small_huge_from = 0;
#endif
    return options;
}

/// A pool that threads share, through the table of functions that NumPy calls.
struct Numpool {
    static constexpr bool any_size = true;
    static constexpr bool any_thread = true;

    void* allocate(std::size_t size) { return malloc_(context_, size); }
    void release(void* block, std::size_t size) { free_(context_, block, size); }
    void trim() { pool_->trim(); }

  private:
    numpool::threads::PoolHandle<SharedSlabPool> pool_ = SharedSlabPool::create(options());
    numpool::threads::PoolWithFallback pools_{*pool_, {}};
    AllocatorTable table_ = numpool::threads::allocator_functions<false>(&pools_);
    void* context_ = table_.context;
    void* (*malloc_)(void*, std::size_t) = benchmark::opaque(table_.malloc);
    void (*free_)(void*, void*, std::size_t) = benchmark::opaque(table_.free);
};

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<Numpool>(count, arguments);
}
