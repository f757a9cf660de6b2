#include "threads/lifecycle/pool_listing.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include "testing.hpp"
#include "threads/fixed/shared_fixed_pool.hpp"
#include "threads/handle/shared_handle_pool.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

PoolHandle<SharedFixedPool> fixed_pool() {
    SharedFixedPoolOptions options;
    options.block_size = 64;
    options.blocks = options.max_blocks = 4;
    return SharedFixedPool::create(options);
}

}  // namespace

TEST("an address leads to the pool whose memory it is in") {
    const auto fixed = fixed_pool();
    const auto slabs = SharedSlabPool::create({});
    SharedHandlePoolOptions options;
    options.sizes = {{64, 4}};
    const auto handles = SharedHandlePool::create(options);

    std::byte* const block = fixed->try_acquire().start;
    CHECK(PoolListing::find(block).get() == fixed.get());
    CHECK(PoolListing::find(block + 63).get() == fixed.get());
    fixed->release(block);

    std::byte* const small = slabs->acquire(100);
    std::byte* const large = slabs->acquire(10'000'000);
    CHECK(PoolListing::find(small).get() == slabs.get());
    CHECK(PoolListing::find(large + 9'999'999).get() == slabs.get());
    slabs->release(small);
    slabs->release(large);

    const auto handle = handles->acquire(64);
    CHECK(PoolListing::find(handles->find(handle).start).get() == handles.get());

    int local = 0;
    CHECK(PoolListing::find(reinterpret_cast<std::byte*>(&local)).get() == nullptr);
    CHECK(PoolListing::find(nullptr).get() == nullptr);
}

TEST("a pool without handles is found while a block lives, and a found pool stays") {
    std::byte* block = nullptr;
    SharedFixedPool* raw = nullptr;
    {
        const auto pool = fixed_pool();
        raw = pool.get();
        block = pool->try_acquire().start;
    }
    PoolHandle<Pool> found = PoolListing::find(block);
    CHECK(found.get() == raw);
    raw->release(block);
    CHECK(found->owns(block));
    found = {};
    CHECK(PoolListing::find(block).get() == nullptr);
}

TEST("pools may end while others look for them") {
    std::atomic<bool> stop = false;
    std::atomic<std::byte*> address = nullptr;
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] {
            while (!stop) {
                const auto pool = fixed_pool();
                std::byte* const block = pool->try_acquire().start;
                address = block;
                if (PoolListing::find(block).get() != pool.get()) std::abort();
                pool->release(block);
            }
        });
    }
    for (int i = 0; i < 20000; ++i) {
        const auto found = PoolListing::find(address);
        if (found.get() != nullptr) static_cast<void>(found->title());
    }
    stop = true;
    for (auto& thread : threads) thread.join();
}
