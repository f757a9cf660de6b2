#include "peer_main.hpp"
#include "threads/slab/shared_slab_pool.hpp"
#include "threads/slab/slab_handler.hpp"

namespace {

numpool::threads::SharedSlabPoolOptions options() {
    numpool::threads::SharedSlabPoolOptions options;
#ifdef NUMPOOL_BENCHMARK_HUGE
    options.spans.small_huge_from = 0;
#endif
    return options;
}

/// A pool that threads share, through the functions of a C handler, as NumPy calls it.
struct Numpool {
    static constexpr bool any_size = true;
    static constexpr bool any_thread = true;

    void* allocate(std::size_t size) { return malloc_(pool_.get(), size); }
    void release(void* block, std::size_t size) { free_(pool_.get(), block, size); }
    void trim() { pool_->trim(); }

  private:
    numpool::threads::PoolHandle<numpool::threads::SharedSlabPool> pool_ =
        numpool::threads::SharedSlabPool::create(options());
    void* (*malloc_)(void*, std::size_t) = benchmark::opaque(&numpool::threads::slab_malloc);
    void (*free_)(void*, void*, std::size_t) = benchmark::opaque(&numpool::threads::slab_free);
};

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<Numpool>(count, arguments);
}
