#include <algorithm>
#include <thread>

#include "testing.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::threads;

TEST("a wiping pool takes its block back while the gates are shut") {
    SharedSlabPoolOptions options;
    options.wipe = true;
    const auto pool = SharedSlabPool::create(options);
    std::byte* const block = pool->acquire(100);
    std::byte* const other = pool->acquire(100);
    // A thread without magazines has common ones at hand, whose gates are never opened.
    std::thread{[&] { CHECK(pool->try_release(block, 100)); }}.join();
    CHECK_EQUAL(pool->figures().blocks, 1U);
    pool->close();
    CHECK(pool->try_release(other, 100));
    CHECK_EQUAL(pool->figures().blocks, 0U);
    CHECK_EQUAL(pool->figures().committed, 0U);
    pool->check();
}

TEST("a wiping pool's blocks always read as zero, whatever was in them") {
    SharedSlabPoolOptions options;
    options.wipe = true;
    const auto pool = SharedSlabPool::create(options);
    const auto is_zero = [](const std::byte* block, std::size_t bytes) {
        return std::all_of(block, block + bytes, [](std::byte b) { return b == std::byte{0}; });
    };
    for (int round = 0; round < 3; ++round) {
        for (const std::size_t size : {100UL, 5000UL, 65536UL, 70000UL, 3000000UL}) {
            std::byte* block = pool->acquire(size);
            CHECK(is_zero(block, size));
            std::fill_n(block, size, std::byte{0xff});
            block = pool->try_reallocate(block, 2 * size);
            CHECK(!is_zero(block, size));
            CHECK(is_zero(block + size, size));
            block = pool->try_reallocate(block, size / 3);
            const std::size_t usable = pool->usable_size(block);
            CHECK(pool->try_release(block, size / 3));
            if (usable <= 65536) CHECK(is_zero(block, usable));
            block = pool->try_acquire_zeroed(size);
            CHECK(is_zero(block, size));
            CHECK(pool->try_release(block, size));
        }
        if (round == 1) pool->trim();
    }
    pool->check();
}
