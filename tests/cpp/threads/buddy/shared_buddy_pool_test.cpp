#include "threads/buddy/shared_buddy_pool.hpp"

#include <cstring>

#include "base/error.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"
#include "threads/lifecycle/pool_pages.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

SharedBuddyPoolOptions megabyte() {
    SharedBuddyPoolOptions options;
    options.capacity = 1 << 20;
    options.name = "b";
    return options;
}

}  // namespace

TEST("a refusal names the requested size, the free bytes and the largest free block") {
    const auto pool = SharedBuddyPool::create(megabyte());
    std::byte* const block = pool->acquire(100);
    CHECK_THROWS(Exhausted,
                 "BuddyPool 'b': 1 MiB requested; of 1 MiB, 1020 KiB are free, the largest block "
                 "of them 512 KiB",
                 pool->acquire(1 << 20));
    CHECK_EQUAL(pool->figures().failures, 1U);
    CHECK(pool->fragmentation() > 0.4);
    pool->release(block);
    CHECK(pool->fragmentation() == 0);
}

TEST("a block is reallocated in place or by a copy, or the refusal changes nothing") {
    const auto pool = SharedBuddyPool::create(megabyte());
    std::byte* block = pool->acquire(4000);
    std::memset(block, 5, 4000);
    CHECK_EQUAL(pool->try_reallocate(block, 50000), block);
    std::byte* const neighbour = pool->acquire(65536);
    CHECK_EQUAL(neighbour, block + 65536);
    std::byte* const moved = pool->try_reallocate(block, 100000);
    CHECK(moved != block);
    for (int i = 0; i < 4000; ++i) CHECK(moved[i] == std::byte{5});
    CHECK(pool->try_reallocate(moved, 2 << 20) == nullptr);
    CHECK_EQUAL(pool->usable_size(moved), std::size_t{128} << 10);
    std::byte stranger{};
    CHECK(pool->try_reallocate(&stranger, 10) == nullptr);
    CHECK(!pool->try_release(&stranger, 1));
    CHECK_EQUAL(pool->usable_size(&stranger), 0U);
    CHECK_EQUAL(pool->figures().blocks, 2U);
    pool->check();
}

TEST("a pool lives as long as a handle or a block, and a closed one gives its region back") {
    pages::FakePages pages;
    std::byte* block = nullptr;
    SharedBuddyPool* pool = nullptr;
    {
        const auto handle = SharedBuddyPool::create(megabyte(), pages);
        pool = handle.get();
        block = handle->acquire(5000);
    }
    std::memset(block, 1, 5000);
    CHECK_EQUAL(pages.mapped, std::size_t{1} << 20);
    pool->release(block);
    CHECK_EQUAL(pages.mapped, 0U);

    const auto closed = SharedBuddyPool::create(megabyte(), pages);
    block = closed->acquire(1);
    closed->close();
    CHECK_THROWS(Closed, "BuddyPool 'b' is closed", closed->acquire(1));
    CHECK(closed->try_reallocate(block, 5000) == nullptr);
    closed->release(block);
    CHECK_EQUAL(pages.mapped, 0U);
    CHECK_EQUAL(closed->figures().requests, 1U);
    CHECK_EQUAL(closed->order_figures().size(), 0U);
}

TEST("a buddy pool draws its region from a slab pool") {
    const auto slabs = SharedSlabPool::create();
    {
        const auto pool = SharedBuddyPool::create(megabyte(), draw_on(*slabs, 4096));
        std::byte* const block = pool->try_acquire_zeroed(8192);
        CHECK(slabs->owns(block));
        CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(block) % 4096, 0U);
        for (int i = 0; i < 8192; ++i) CHECK(block[i] == std::byte{0});
        pool->release(block);
        CHECK_EQUAL(pool->trim(), 0U);
        CHECK_EQUAL(slabs->drawing_pools(), 1U);
    }
    CHECK_EQUAL(slabs->figures().blocks, 0U);
}
