#include "threads/handle/shared_handle_pool.hpp"

#include <atomic>
#include <cstring>
#include <set>
#include <vector>

#include "base/error.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"
#include "threads/handle/handle_numbers.hpp"

using namespace numpool;
using namespace numpool::threads;
using numpool::pages::FakePages;
using numpool::pools::Handle;

namespace {

SharedHandlePoolOptions options_for(std::vector<std::pair<std::size_t, std::size_t>> sizes) {
    SharedHandlePoolOptions options;
    options.sizes = std::move(sizes);
    options.name = "test";
    return options;
}

std::atomic<int> ended = 0;

}  // namespace

TEST("a full handle pool says how many blocks are large enough") {
    const auto pool = SharedHandlePool::create(options_for({{64, 2}, {256, 1}}));
    pool->acquire(100);
    CHECK_THROWS(Exhausted,
                 "HandlePool 'test': its only block of 65 bytes or more is in use: free it, or "
                 "give it more",
                 pool->acquire(65));
    CHECK_THROWS(BadArgument, "asked for 257 bytes, and the largest blocks have 256",
                 pool->acquire(257));
    CHECK_EQUAL(pool->figures().failures, 1U);
}

TEST("a stale handle and a foreign handle are refused with different errors") {
    const auto pool = SharedHandlePool::create(options_for({{64, 2}}));
    const auto other = SharedHandlePool::create(options_for({{64, 2}}));
    const Handle handle = pool->acquire(1);
    const Handle foreign = other->acquire(1);
    CHECK(handle != foreign);
    CHECK_EQUAL(pool->free(handle), 0U);
    CHECK_THROWS(Stale, "is stale: its block was freed", pool->free(handle));
    CHECK_THROWS(Stale, "is stale: its block was freed", pool->hold(handle));
    CHECK_THROWS(Stale, "is no handle of this pool", pool->free(foreign));
    CHECK_THROWS(Stale, "0 is no handle of this pool", pool->hold(0));
    CHECK_EQUAL(other->live_blocks(), 1U);
}

TEST("no two pools of a process give the same handle") {
    std::set<Handle> given;
    for (int i = 0; i < 300; ++i) {
        const std::size_t blocks = static_cast<std::size_t>(1 + i % 7);
        const auto pool = SharedHandlePool::create(options_for({{64, blocks}, {128, blocks}}));
        for (std::size_t block = 0; block < 2 * blocks; ++block) {
            CHECK(given.insert(pool->acquire(1)).second);
        }
    }
}

TEST("a pool whose construction fails gives its numbers back") {
    FakePages pages;
    for (int i = 0; i < 40000; ++i) {
        pages.fail_after(static_cast<std::size_t>(i % 2));
        CHECK_THROWS(Exhausted, "the system refused memory",
                     SharedHandlePool::create(options_for({{64, 1}, {128, 1}}), pages));
        pages.stop_failing();
    }
    CHECK_EQUAL(pages.mapped, 0U);
}

TEST("numbers run out, and come back") {
    std::vector<PoolHandle<SharedHandlePool>> pools;
    std::vector<std::pair<std::size_t, std::size_t>> sizes;
    for (std::size_t size = 1; size <= 128; ++size) sizes.emplace_back(size * 64, 1);
    const auto fill = [&] {
        for (int i = 0; i < 200; ++i) pools.push_back(SharedHandlePool::create(options_for(sizes)));
    };
    CHECK_THROWS(Exhausted, "table numbers of handles are in use", fill());
    CHECK(pools.size() > 120);
    pools.clear();
    CHECK(SharedHandlePool::create(options_for(sizes))->acquire(1) > 0);
}

TEST("a held block outlives the pool's last handle, a live one does not") {
    FakePages pages;
    SharedHandlePool* raw = nullptr;
    SharedHandlePool::Block block;
    {
        const auto pool = SharedHandlePool::create(options_for({{64, 2}}), pages);
        raw = pool.get();
        block = pool->hold(pool->acquire(8));
        pool->acquire(8);
    }
    CHECK(pages.mapped > 0);
    std::memset(block.start, 1, block.bytes);
    raw->release(block.start);
    CHECK_EQUAL(pages.mapped, 0U);
}

TEST("a closed pool keeps its live handles, and gives its memory back with the last") {
    FakePages pages;
    const auto pool = SharedHandlePool::create(options_for({{64, 2}}), pages);
    const Handle handle = pool->acquire(8);
    pool->close();
    pool->close();
    CHECK_THROWS(Closed, "HandlePool 'test' is closed and takes no more requests",
                 pool->acquire(1));
    CHECK(static_cast<bool>(pool->find(handle)));
    CHECK(pages.mapped > 0);
    CHECK_EQUAL(pool->free(handle), 0U);
    CHECK_EQUAL(pages.mapped, 0U);
    CHECK_THROWS(Stale, "is no handle of this pool", pool->free(handle));
    CHECK_EQUAL(pool->figures().requests, 1U);
    CHECK_EQUAL(pool->trim(), 0U);
    CHECK(pool->live_handles().empty());
    pool->check();
    pool->close();
}

TEST("`ending` is called for each block whose use ends") {
    auto options = options_for({{64, 4}});
    options.ending = [](const void*) { ++ended; };
    {
        const auto pool = SharedHandlePool::create(options);
        const Handle freed = pool->acquire(1);
        pool->acquire(1);
        pool->acquire(1);
        pool->free(freed);
        CHECK_EQUAL(ended, 1);
    }
    CHECK_EQUAL(ended, 3);
}
