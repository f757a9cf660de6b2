#include "threads/fixed/shared_fixed_pool.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"
#include "threads/fixed/strict_pool.hpp"
#include "threads/waiting/waiters.hpp"

using namespace numpool;
using namespace numpool::threads;
using namespace std::chrono_literals;
using numpool::pages::FakePages;
using Block = SharedFixedPool::Block;

TEST("a released block goes to the waiters, in their order") {
    const auto pool = SharedFixedPool::create(options_for(64, 1));
    const Block block = pool->try_acquire();
    const auto first = std::make_shared<CountingWaiter>();
    const auto second = std::make_shared<CountingWaiter>();
    CHECK(!pool->acquire_or_wait(first));
    CHECK(!pool->acquire_or_wait(second));
    pool->release(block.start);
    CHECK_EQUAL(first->notified, 1);
    CHECK_EQUAL(second->notified, 0);
    CHECK(!pool->try_acquire());  // Waiters come first.
    CHECK(pool->collect(*first).start == block.start);
    pool->release(block.start);
    CHECK_EQUAL(second->notified, 1);
    CHECK(pool->collect(*second).start == block.start);
    pool->release(block.start);
    pool->check();
    CHECK_EQUAL(pool->figures().waits, 2U);
}

TEST(
    "a waiter that gives up gets nothing, and one that was granted before it gave up gets its "
    "block") {
    const auto pool = SharedFixedPool::create(options_for(64, 1));
    const Block block = pool->try_acquire();
    const auto patient = std::make_shared<CountingWaiter>();
    const auto hasty = std::make_shared<CountingWaiter>();
    CHECK(!pool->acquire_or_wait(hasty));
    CHECK(!pool->acquire_or_wait(patient));
    CHECK(!pool->collect(*hasty));
    pool->release(block.start);
    CHECK_EQUAL(hasty->notified, 0);
    CHECK(pool->state_of(*patient) == Waiter::State::granted);
    CHECK(pool->collect(*patient).start == block.start);
    CHECK(!pool->collect(*patient));
    pool->release(block.start);
    pool->check();
}

TEST("a waiter that was served at once never stood in the queue") {
    const auto pool = SharedFixedPool::create(options_for(64, 1));
    const auto waiter = std::make_shared<CountingWaiter>();
    const Block block = pool->acquire_or_wait(waiter);
    CHECK(static_cast<bool>(block));
    CHECK(!pool->collect(*waiter));
    CHECK(pool->state_of(*waiter) == Waiter::State::outside);
    pool->release(block.start);
    CHECK_EQUAL(waiter->notified, 0);
}

TEST("a block goes on to the next waiter where the first cannot be notified") {
    const auto pool = SharedFixedPool::create(options_for(64, 1));
    const Block block = pool->try_acquire();
    const auto gone = std::make_shared<CountingWaiter>();
    gone->reachable = false;
    const auto next = std::make_shared<CountingWaiter>();
    CHECK(!pool->acquire_or_wait(gone));
    CHECK(!pool->acquire_or_wait(next));
    pool->release(block.start);
    CHECK(!pool->collect(*gone));
    CHECK(pool->collect(*next).start == block.start);
    pool->release(block.start);
    CHECK(static_cast<bool>(pool->try_acquire()));
    pool->release(block.start);
}

TEST("acquiring many takes all or none") {
    const auto pool = SharedFixedPool::create(options_for(64, 5));
    std::array<Block, 3> three{};
    CHECK(pool->try_acquire_many(three));
    CHECK(!pool->try_acquire_many(three));
    pool->check();
    CHECK_EQUAL(pool->figures().blocks, 3U);
    CHECK_EQUAL(pool->figures().requests, 3U);
    CHECK(pool->refuse(3) ==
          "FixedPool 'test': asked for 3 blocks at once, 2 of at most 5 are left");
    CHECK_EQUAL(pool->figures().failures, 1U);
}

TEST("a pool lives as long as a handle or a block") {
    FakePages pages;
    auto pool = SharedFixedPool::create(options_for(64, 2), pages);
    SharedFixedPool* const raw = pool.get();
    const Block block = pool->try_acquire();
    pool = {};
    std::memset(block.start, 1, 64);
    CHECK(pages.mapped > 0);
    {
        const PoolHandle<SharedFixedPool> revived{raw};  // Its block keeps it alive.
        CHECK_EQUAL(revived->figures().blocks, 1U);
    }
    CHECK(pages.mapped > 0);
    raw->release(block.start);
    CHECK_EQUAL(pages.mapped, 0U);
}

TEST("a closed pool takes no requests, and its memory goes with the last block") {
    FakePages pages;
    const auto pool = SharedFixedPool::create(options_for(64, 2), pages);
    const Block block = pool->try_acquire();
    const Block other = pool->try_acquire();
    const auto waiter = std::make_shared<CountingWaiter>();
    CHECK(!pool->acquire_or_wait(waiter));
    pool->close();
    CHECK_EQUAL(waiter->notified, 1);
    CHECK(pool->state_of(*waiter) == Waiter::State::closed);
    CHECK_THROWS(Closed, "FixedPool 'test' is closed", pool->try_acquire());
    CHECK_THROWS(Closed, "closed", pool->acquire_or_wait(waiter));
    pool->release(block.start);
    CHECK(pages.mapped > 0);
    std::memset(other.start, 1, 64);
    pool->release(other.start);
    CHECK_EQUAL(pages.mapped, 0U);
    CHECK_EQUAL(pool->figures().mapped, 0U);
    CHECK_EQUAL(pool->trim(), 0U);
    pool->check();
    pool->close();
}

TEST("a pool that wipes hands out zeroes, whatever was written") {
    auto options = options_for(100, 3);
    options.wipe = true;
    const auto pool = SharedFixedPool::create(options);
    for (int round = 0; round < 3; ++round) {
        std::array<Block, 3> all{};
        CHECK(pool->try_acquire_many(all));
        for (const Block& block : all) {
            CHECK(std::all_of(block.start, block.start + 100,
                              [](std::byte b) { return b == std::byte{0}; }));
            std::memset(block.start, 0xFF, 100);
        }
        for (const Block& block : all) pool->release(block.start);
        if (round == 1) pool->trim();
    }
}

TEST("a waiting thread wakes for a block, for its deadline, and for the pool's end") {
    const auto pool = SharedFixedPool::create(options_for(64, 1));
    const Block block = pool->try_acquire();
    CHECK(!wait_for_block(*pool, 5ms));
    std::thread releaser{[&] {
        std::this_thread::sleep_for(10ms);
        pool->release(block.start);
    }};
    const Block again = wait_for_block(*pool);
    releaser.join();
    CHECK(again.start == block.start);
    std::thread closer{[&] {
        std::this_thread::sleep_for(10ms);
        pool->close();
    }};
    CHECK(!wait_for_block(*pool));
    closer.join();
    pool->release(again.start);
}

TEST("threads that acquire, wait, give up, trim and read figures lose no block") {
    auto options = options_for(256, 4);
    options.max_blocks = 6;
    const auto pool = SharedFixedPool::create(options);
    std::atomic<int> shared_by_two{0};
    const auto work = [&](unsigned seed) {
        std::mt19937 random{seed};
        for (int i = 0; i < 4000; ++i) {
            const auto action = random() % 20;
            if (action == 0) pool->trim();
            if (action == 1) static_cast<void>(pool->figures());
            if (action == 2) pool->check();
            const Block block =
                action < 8 ? pool->try_acquire()
                           : wait_for_block(*pool, std::chrono::microseconds{random() % 50});
            if (!block) continue;
            const auto mark = static_cast<unsigned char>(seed);
            std::memset(block.start, mark, 256);
            if (random() % 4 == 0) std::this_thread::yield();
            if (!std::all_of(block.start, block.start + 256,
                             [&](std::byte b) { return b == std::byte{mark}; })) {
                ++shared_by_two;
            }
            pool->release(block.start);
        }
    };
    std::vector<std::thread> threads;
    for (unsigned seed = 1; seed <= 8; ++seed) threads.emplace_back(work, seed);
    for (auto& thread : threads) thread.join();
    CHECK_EQUAL(shared_by_two, 0);
    pool->check();
    std::array<Block, 6> all{};
    CHECK(pool->try_acquire_many(all));
    for (const Block& block : all) pool->release(block.start);
}

#ifdef __SANITIZE_ADDRESS__
constexpr int forks = 0;  // Its own allocator is not safe over fork, and hangs children.
#else
constexpr int forks = 50;
#endif

TEST("a child forked while threads use the pool can use it without waiting for them") {
    const auto pool = SharedFixedPool::create(options_for(64, 2));
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            while (!stop) {
                if (const Block block = wait_for_block(*pool, 1ms)) pool->release(block.start);
            }
        });
    }
    int failed = 0;
    for (int i = 0; i < forks; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(10);
            if (const Block block = pool->try_acquire()) pool->release(block.start);
            pool->trim();
            pool->check();
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (status != 0) ++failed;
    }
    stop = true;
    for (auto& thread : threads) thread.join();
    CHECK_EQUAL(failed, 0);
}
