#include "threads/reserve/shared_reserve_pool.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "testing.hpp"
#include "threads/reserve/moody_pool.hpp"
#include "threads/waiting/waiters.hpp"

using namespace numpool;
using namespace numpool::threads;
using namespace std::chrono_literals;
using Block = SharedReservePool::Block;

namespace {

SharedReservePoolOptions options_for(std::size_t reserve) {
    SharedReservePoolOptions options;
    options.bytes = 64;
    options.reserve = reserve;
    options.name = "test";
    return options;
}

PoolHandle<SharedReservePool> make(MoodyPool& backing, std::size_t reserve) {
    return SharedReservePool::create(options_for(reserve), backing, backing);
}

/// A pool whose only block is live, and a waiter.
struct Awaited {
    Awaited() {
        backing.failing_percent = 100;
        block = pool->try_acquire();
        CHECK(!pool->acquire_or_wait(waiter));
    }

    MoodyPool backing;
    PoolHandle<SharedReservePool> pool = make(backing, 1);
    Block block;
    std::shared_ptr<CountingWaiter> waiter = std::make_shared<CountingWaiter>();
};

/// A wait that ends only with a block. It looks elsewhere now and then, as callers do.
Block wait_and_look(SharedReservePool& pool) {
    const auto waiter = std::make_shared<ThreadWaiter>();
    if (const Block block = pool.acquire_or_wait(waiter)) return block;
    while (pool.state_of(*waiter) == Waiter::State::waiting) {
        waiter->wait(Doorbell::Clock::now() + 20ms);
        pool.look_elsewhere();
    }
    return pool.collect(*waiter);
}

}  // namespace

TEST("creation takes the whole reserve, or fails and gives everything back") {
    MoodyPool backing;
    {
        const auto pool = make(backing, 3);
        CHECK_EQUAL(backing.given(), 3U);
        CHECK_EQUAL(pool->at_hand(), 3U);
        CHECK_EQUAL(backing.handles, 1);
        pool->check();
    }
    CHECK_EQUAL(backing.given(), 0U);
    CHECK_EQUAL(backing.handles, 0);
    backing.left = 2;
    CHECK_THROWS(Exhausted, "MoodyPool gave 2 of the 3 blocks of 64 bytes to keep in reserve",
                 make(backing, 3));
    CHECK_THROWS(BadArgument, "reserve is 0", make(backing, 0));
    CHECK_EQUAL(backing.given(), 0U);
    CHECK_EQUAL(backing.handles, 0);
}

TEST("a request asks the backing pool first and the reserve next") {
    MoodyPool backing;
    const auto pool = make(backing, 2);
    const Block first = pool->try_acquire();
    CHECK_EQUAL(pool->at_hand(), 2U);
    backing.failing_percent = 100;
    const Block second = pool->try_acquire();
    const Block third = pool->try_acquire();
    CHECK_EQUAL(pool->at_hand(), 0U);
    CHECK(!pool->try_acquire());
    CHECK_EQUAL(pool->refuse(),
                "ReservePool 'test': MoodyPool has no 64 bytes left, and all 2 blocks in reserve "
                "are in use");
    // A block that comes back goes to the reserve first.
    pool->release(first.start);
    pool->release(second.start);
    CHECK_EQUAL(pool->at_hand(), 2U);
    CHECK_EQUAL(backing.given(), 3U);
    pool->release(third.start);
    CHECK_EQUAL(backing.given(), 2U);
    const PoolFigures figures = pool->figures();
    CHECK_EQUAL(figures.requests, 3U);
    CHECK_EQUAL(figures.hits, 2U);
    CHECK_EQUAL(figures.failures, 1U);
    CHECK_EQUAL(figures.peak, 3 * 64U);
    CHECK_EQUAL(figures.cached, 2 * 64U);
    CHECK_EQUAL(figures.blocks, 0U);
    pool->check();
}

TEST("waiters are served in their order, and no request overtakes them") {
    MoodyPool backing;
    const auto pool = make(backing, 1);
    backing.failing_percent = 100;
    const Block block = pool->try_acquire();
    const auto first = std::make_shared<CountingWaiter>();
    const auto gone = std::make_shared<CountingWaiter>();
    gone->reachable = false;
    const auto second = std::make_shared<CountingWaiter>();
    for (const auto& waiter : {first, gone, second}) CHECK(!pool->acquire_or_wait(waiter));
    CHECK(!pool->try_acquire());
    pool->release(block.start);
    CHECK_EQUAL(first->notified, 1);
    CHECK(pool->collect(*first).start == block.start);
    pool->release(block.start);
    CHECK(!pool->collect(*gone));
    CHECK(pool->collect(*second).start == block.start);
    pool->release(block.start);
    CHECK_EQUAL(pool->at_hand(), 1U);
    pool->check();
}

TEST("a block that the backing pool has again goes to the waiters first") {
    Awaited awaited;
    auto& [backing, pool, block, waiter] = awaited;
    backing.failing_percent = 0;
    const Block newcomer = pool->try_acquire();
    CHECK(static_cast<bool>(newcomer));
    CHECK_EQUAL(waiter->notified, 1);
    const Block waited = pool->collect(*waiter);
    CHECK(static_cast<bool>(waited) && waited.start != newcomer.start);
    for (const Block& one : {block, newcomer, waited}) pool->release(one.start);
    CHECK_EQUAL(backing.given(), 1U);
    pool->check();
}

TEST("the reserve shrinks at once, and grows as far as it can") {
    MoodyPool backing;
    const auto pool = make(backing, 5);
    const Block block = pool->try_acquire();
    pool->resize(2);
    CHECK_EQUAL(backing.given(), 3U);
    CHECK_EQUAL(pool->at_hand(), 2U);
    backing.left = 1;
    pool->resize(4);
    CHECK_EQUAL(pool->at_hand(), 3U);
    CHECK_EQUAL(pool->reserve(), 4U);
    pool->release(block.start);
    CHECK_EQUAL(pool->at_hand(), 4U);
    CHECK_THROWS(BadArgument, "reserve is 0", pool->resize(0));
    pool->check();
    pool->close();
    CHECK_EQUAL(backing.given(), 0U);
    CHECK_THROWS(Closed, "ReservePool 'test' is closed and takes no more requests",
                 pool->resize(1));
    pool->check();
}

TEST("a closed pool notifies the waiters, and its blocks go back to the backing pool") {
    Awaited awaited;
    auto& [backing, pool, block, waiter] = awaited;
    pool->close();
    CHECK_EQUAL(waiter->notified, 1);
    CHECK(pool->state_of(*waiter) == Waiter::State::closed);
    CHECK_THROWS(Closed, "is closed", pool->try_acquire());
    CHECK_EQUAL(backing.given(), 1U);
    pool->release(block.start);
    CHECK_EQUAL(backing.given(), 0U);
    pool->check();
}

TEST("a live block keeps a pool without handles, and its release ends the pool") {
    MoodyPool backing;
    SharedReservePool* raw = nullptr;
    Block block;
    {
        const auto pool = make(backing, 2);
        raw = pool.get();
        block = pool->try_acquire();
    }
    CHECK_EQUAL(backing.given(), 3U);
    raw->release(block.start);
    CHECK_EQUAL(backing.given(), 0U);
    CHECK_EQUAL(backing.handles, 0);
}

TEST("a caller that may wait never fails while the backing pool fails at random") {
    MoodyPool backing;
    const auto pool = make(backing, 3);
    std::atomic<int> failures = 0;
    std::atomic<int> out = 0;
    std::atomic<bool> stop = false;
    const auto work = [&](unsigned seed) {
        std::mt19937 random{seed};
        std::vector<Block> held;
        for (int i = 0; i < 3000; ++i) {
            // A waiter holds no block: otherwise all could wait for each other.
            const Block block = wait_and_look(*pool);
            if (!block) {
                ++failures;
                continue;
            }
            ++out;
            *block.start = std::byte{1};
            if (random() % 8 == 0) std::this_thread::yield();
            --out;
            pool->release(block.start);
        }
    };
    std::thread mood{[&] {
        std::mt19937 random{1};
        while (!stop) {
            const unsigned moods[] = {0, 50, 90, 100};
            backing.failing_percent = moods[random() % 4];
            if (random() % 4 == 0) pool->resize(1 + random() % 6);
            std::this_thread::sleep_for(200us);
        }
    }};
    std::vector<std::thread> threads;
    for (unsigned seed = 0; seed < 6; ++seed) threads.emplace_back(work, seed);
    for (auto& thread : threads) thread.join();
    stop = true;
    mood.join();
    CHECK_EQUAL(failures, 0);
    CHECK_EQUAL(out, 0);
    pool->check();
    CHECK_EQUAL(pool->figures().blocks, 0U);
    CHECK_EQUAL(backing.given(), pool->at_hand());
    CHECK_EQUAL(pool->figures().requests, 18000U);
}
