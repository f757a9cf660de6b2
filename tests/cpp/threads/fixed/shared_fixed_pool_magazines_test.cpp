#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <functional>
#include <latch>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"
#include "threads/fixed/shared_fixed_pool.hpp"
#include "threads/fixed/strict_pool.hpp"

using namespace numpool;
using namespace numpool::threads;
using Block = SharedFixedPool::Block;
using Handle = PoolHandle<SharedFixedPool>;

namespace {

std::vector<Block> acquire(SharedFixedPool& pool, std::size_t count) {
    std::vector<Block> blocks;
    while (blocks.size() < count) {
        const Block block = pool.try_acquire();
        if (!block) break;
        blocks.push_back(block);
    }
    return blocks;
}

void release(SharedFixedPool& pool, const std::vector<Block>& blocks) {
    for (const Block& block : blocks) pool.release(block.start);
}

/// Threads that used a pool, and keep its blocks at hand while this lives.
class Holders {
  public:
    Holders(SharedFixedPool& pool, std::size_t threads, std::size_t blocks)
        : ready_{static_cast<std::ptrdiff_t>(threads)}, end_{1} {
        for (std::size_t i = 0; i < threads; ++i) {
            threads_.emplace_back([&pool, blocks, this] {
                release(pool, acquire(pool, blocks));
                ready_.count_down();
                end_.wait();
            });
        }
        ready_.wait();
    }
    ~Holders() {
        end_.count_down();
        for (std::thread& thread : threads_) thread.join();
    }

  private:
    std::latch ready_;
    std::latch end_;
    std::vector<std::thread> threads_;
};

struct CountingWaiter final : Waiter {
    bool notify() noexcept override {
        ++notified;
        return true;
    }
    std::atomic<int> notified{0};
};

#ifndef __SANITIZE_ADDRESS__  // Its own allocator is not safe over fork, and hangs children.
/// Whether the pool aborts a forked child that does this.
bool is_stopped(const std::function<void()>& act) {
    const pid_t child = fork();
    if (child == 0) {
        if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(2);
        std::signal(SIGABRT, SIG_DFL);
        alarm(20);
        act();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
#endif

}  // namespace

#ifndef __SANITIZE_ADDRESS__
TEST("a corrupted free list stops the program with a message, not a crash") {
    const Handle pool = SharedFixedPool::create(options_for(64, 100));
    std::byte* last = nullptr;
    std::thread{[&] {
        std::vector<std::byte*> blocks;
        for (int i = 0; i < 10; ++i) blocks.push_back(pool->try_acquire().start);
        for (std::byte* const block : blocks) pool->release(block);
        last = blocks.back();
    }}.join();
    // The thread's blocks at hand are in the free list now. A write to a released block may hit the
    // link in it.
    CHECK(is_stopped([&] {
        for (std::byte* const block : {last, last - 64, last - 128}) {
            std::byte* const astray = block + 1;
            std::memcpy(block, &astray, sizeof astray);
        }
        for (int i = 0; i < 10; ++i) pool->try_acquire();
    }));
}
#endif

TEST("a strict pool hands out all its blocks, even those at hand in other threads") {
    const Handle pool = SharedFixedPool::create(options_for(64, 100));
    const Holders holders{*pool, 3, 10};
    CHECK_EQUAL(pool->figures().blocks, 0U);
    pool->check();
    const std::vector<Block> all = acquire(*pool, 1000);
    CHECK_EQUAL(all.size(), 100U);
    CHECK_EQUAL(pool->figures().blocks, 100U);
    CHECK(pool->refuse(1) == "FixedPool 'test': all 100 blocks of 64 bytes are in use");
    pool->check();
    release(*pool, all);
    CHECK_EQUAL(pool->figures().blocks, 0U);
    CHECK_EQUAL(pool->figures().peak, 100U * 64);
    pool->check();
}

TEST("a peak after reset_peak does not count blocks that are only at hand") {
    const Handle pool = SharedFixedPool::create(options_for(64, 100));
    const Holders holders{*pool, 3, 10};
    CHECK(pool->figures().peak >= 10U * 64);
    pool->reset_peak();
    CHECK_EQUAL(pool->figures().peak, 0U);
    release(*pool, acquire(*pool, 7));
    CHECK(pool->figures().peak >= 7U * 64);
    CHECK(pool->figures().peak < 50U * 64);
    pool->check();
}

TEST("try_acquire_many finds blocks that other threads have at hand") {
    const Handle pool = SharedFixedPool::create(options_for(64, 100));
    const Holders holders{*pool, 3, 10};
    std::vector<Block> blocks(100);
    CHECK(pool->try_acquire_many(blocks));
    pool->check();
    release(*pool, blocks);
}

TEST("a pool uses blocks that other threads have at hand before it grows") {
    SharedFixedPoolOptions options = options_for(64, 8);
    options.max_blocks = 1000;
    const Handle pool = SharedFixedPool::create(options);
    const Holders holders{*pool, 1, 8};
    release(*pool, acquire(*pool, 8));
    CHECK_EQUAL(pool->figures().growths, 0U);
    release(*pool, acquire(*pool, 9));
    CHECK_EQUAL(pool->figures().growths, 1U);
    pool->check();
}

TEST("magazines are bounded, so that no thread keeps much from the others") {
    const auto fresh_taken = [](std::size_t block_size, std::size_t blocks) {
        const Handle pool = SharedFixedPool::create(options_for(block_size, 2 * blocks));
        const Holders holders{*pool, 1, blocks};
        // Released blocks that are not at hand there are used before fresh ones.
        const std::size_t committed = pool->figures().committed;
        const std::vector<Block> all = acquire(*pool, blocks);
        const std::size_t at_hand = (pool->figures().committed - committed) / block_size;
        release(*pool, all);
        return at_hand;
    };
    const auto is_bounded_by = [&](std::size_t most, std::size_t block_size, std::size_t blocks) {
        const std::size_t at_hand = fresh_taken(block_size, blocks);
        return at_hand <= most && at_hand > most / 2;
    };
    CHECK(is_bounded_by(1, 64, 4));        // An eighth of all blocks,
    CHECK(is_bounded_by(100, 64, 400));    //
    CHECK(is_bounded_by(64, 4096, 1000));  // 256 KiB,
    CHECK(is_bounded_by(1, 1 << 20, 32));  //
    CHECK(is_bounded_by(1024, 8, 20000));  // or 1024 blocks.
}

TEST("a thread that ends gives back the blocks it had at hand, and its requests stay counted") {
    pages::FakePages pages;
    const Handle pool = SharedFixedPool::create(options_for(4096, 64), pages);
    std::thread{[&] { release(*pool, acquire(*pool, 8)); }}.join();
    CHECK_EQUAL(pool->figures().requests, 8U);
    CHECK_EQUAL(pool->figures().blocks, 0U);
    CHECK_EQUAL(pool->trim(), 8U * 4096);
    pool->check();
}

TEST("trim gives back blocks that other threads have at hand") {
    const Handle pool = SharedFixedPool::create(options_for(4096, 64));
    const Holders holders{*pool, 2, 4};
    CHECK(pool->figures().cached >= 4 * 4096);
    CHECK(pool->trim() >= 4 * 4096);
    CHECK_EQUAL(pool->figures().cached, 0U);
    pool->check();
}

TEST("while a waiter stands in the queue, all released blocks go to the queue") {
    const Handle pool = SharedFixedPool::create(options_for(64, 16));
    const Holders holders{*pool, 2, 2};
    const std::vector<Block> all = acquire(*pool, 16);
    CHECK_EQUAL(all.size(), 16U);
    const auto first = std::make_shared<CountingWaiter>();
    const auto second = std::make_shared<CountingWaiter>();
    CHECK(!pool->acquire_or_wait(first));
    CHECK(!pool->acquire_or_wait(second));
    std::thread{[&] { pool->release(all[0].start); }}.join();
    CHECK_EQUAL(first->notified, 1);
    pool->release(all[1].start);
    CHECK_EQUAL(second->notified, 1);
    CHECK(pool->collect(*first).start == all[0].start);
    CHECK(pool->collect(*second).start == all[1].start);
    release(*pool, all);
    pool->check();
}

TEST("a pool that was exhausted for a while hands out from magazines again") {
    const Handle pool = SharedFixedPool::create(options_for(4096, 16));
    const auto is_used_by_two = [&] {
        pool->trim();
        release(*pool, acquire(*pool, 1));
        std::thread{[&] { release(*pool, acquire(*pool, 1)); }}.join();
        // The other thread does not see this thread's blocks at hand.
        return pool->figures().committed == 2 * 4096;
    };
    CHECK(is_used_by_two());
    release(*pool, acquire(*pool, 17));
    CHECK(!is_used_by_two());
    for (int i = 0; i < 1000; ++i) release(*pool, acquire(*pool, 1));
    CHECK(is_used_by_two());
    pool->check();
}

TEST("a block from a magazine is constructed, and zero where the pool wipes") {
    SharedFixedPoolOptions options = options_for(64, 16);
    options.wipe = true;
    const Handle wiping = SharedFixedPool::create(options);
    for (int round = 0; round < 5; ++round) {
        const std::vector<Block> blocks = acquire(*wiping, 5);
        for (const Block& block : blocks) {
            for (std::size_t i = 0; i < 64; ++i) CHECK(block.start[i] == std::byte{0});
            block.start[0] = block.start[63] = std::byte{1};
        }
        release(*wiping, blocks);
        if (round == 2) wiping->trim();
    }
    const Handle plain = SharedFixedPool::create(options_for(64, 16));
    const Block fresh = plain->try_acquire();
    CHECK(fresh.zero && !fresh.constructed);
    plain->release(fresh.start);
    const Block used = plain->try_acquire();
    CHECK(used.start == fresh.start && used.constructed && !used.zero);
    plain->release_unused(used.start);
    const Block unused = plain->try_acquire();
    CHECK(!unused.constructed);
    plain->release(unused.start);
}

TEST("a thread uses many pools by turns, and its magazines of dead ones serve no request") {
    std::vector<Handle> pools;
    for (int i = 0; i < 50; ++i) pools.push_back(SharedFixedPool::create(options_for(64, 20)));
    for (int round = 0; round < 20; ++round) {
        for (Handle& pool : pools) {
            release(*pool, acquire(*pool, 3));
            pool->check();
            if (round % 7 == 6) pool = SharedFixedPool::create(options_for(64, 20));
        }
    }
}

TEST("a pool whose last handle goes while threads release ends exactly once") {
    for (int round = 0; round < 200; ++round) {
        pages::FakePages pages;
        Handle pool = SharedFixedPool::create(options_for(64, 200), pages);
        SharedFixedPool* const address = pool.get();
        const std::vector<Block> blocks = acquire(*pool, 200);
        std::vector<std::thread> threads;
        for (std::size_t who = 0; who < 2; ++who) {
            threads.emplace_back([&, who] {
                for (std::size_t i = who; i < blocks.size(); i += 2)
                    address->release(blocks[i].start);
            });
        }
        pool = {};
        for (std::thread& thread : threads) thread.join();
        CHECK_EQUAL(pages.mapped, 0U);
    }
}

TEST("a pool that only blocks held goes on behind its lock when it is found again") {
    pages::FakePages pages;
    Handle pool = SharedFixedPool::create(options_for(64, 16), pages);
    SharedFixedPool* const address = pool.get();
    const Block block = pool->try_acquire();
    pool = {};
    pool = Handle{address};
    for (int i = 0; i < 1000; ++i) release(*pool, acquire(*pool, 3));
    pool->check();
    pool->release(block.start);
    const std::vector<Block> all = acquire(*pool, 17);
    CHECK_EQUAL(all.size(), 16U);
    pool = {};
    release(*address, all);
    CHECK_EQUAL(pages.mapped, 0U);
}

#ifndef __SANITIZE_ADDRESS__  // Its own allocator is not safe over fork, and hangs children.
TEST("a block that is released twice stops the program, in a magazine or in the pool") {
    const Handle pool = SharedFixedPool::create(options_for(64, 100));
    const std::vector<Block> blocks = acquire(*pool, 20);
    CHECK(is_stopped([&] {
        pool->release(blocks[0].start);
        pool->release(blocks[0].start);  // At hand in this thread.
    }));
    CHECK(is_stopped([&] {
        std::thread{[&] {
            pool->release(blocks[0].start);
            std::thread{[&] { pool->release(blocks[0].start); }}.join();  // In another.
        }}.join();
    }));
    CHECK(is_stopped([&] {
        release(*pool, blocks);
        pool->trim();
        pool->release(blocks[0].start);  // Behind the lock.
    }));
    CHECK(is_stopped([&] {
        const std::vector<Block> all = acquire(*pool, 80);
        const auto waiter = std::make_shared<CountingWaiter>();
        pool->acquire_or_wait(waiter);
        pool->release(blocks[0].start);  // To the waiter,
        pool->release(pool->collect(*waiter).start);
        pool->release(blocks[0].start);  // who has released it.
    }));
    CHECK(is_stopped([&] { pool->release(blocks[0].start + 1); }));
    std::byte stranger{};
    CHECK(is_stopped([&] { pool->release(&stranger); }));
    CHECK(is_stopped([&] { pool->release_unused(&stranger); }));
    CHECK(!is_stopped([&] { release(*pool, blocks); }));
    release(*pool, blocks);
}
#endif
