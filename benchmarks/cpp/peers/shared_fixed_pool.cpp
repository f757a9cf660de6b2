#include "threads/fixed/shared_fixed_pool.hpp"

#include "fixed_peer.hpp"

namespace {

using numpool::threads::SharedFixedPool;

/// A fixed pool that threads share.
struct SharedFixed {
    explicit SharedFixed(std::size_t size) : pool{SharedFixedPool::create(options_for(size))} {}

    static numpool::threads::SharedFixedPoolOptions options_for(std::size_t size) {
        numpool::threads::SharedFixedPoolOptions options;
        options.block_size = size;
        options.blocks = options.max_blocks = benchmark::fixed_blocks;
        return options;
    }
    void* context() const { return pool.get(); }
    static std::byte* acquire(void* pool) {
        std::byte* const block = static_cast<SharedFixedPool*>(pool)->acquire_at_hand();
        return block != nullptr ? block : acquire_slowly(pool);
    }
    [[gnu::noinline]] static std::byte* acquire_slowly(void* pool) {
        return static_cast<SharedFixedPool*>(pool)->try_acquire().start;
    }
    static void release(void* pool, std::byte* block) {
        static_cast<SharedFixedPool*>(pool)->release(block);
    }

    numpool::threads::PoolHandle<SharedFixedPool> pool;
};

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<benchmark::FixedPeer<SharedFixed>>(count, arguments);
}
