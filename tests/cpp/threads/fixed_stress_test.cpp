#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "testing.hpp"
#include "threads/shared_fixed_pool.hpp"

using namespace numpool;
using namespace numpool::threads;
using Block = SharedFixedPool::Block;
using Handle = PoolHandle<SharedFixedPool>;

namespace {

#if defined(__SANITIZE_THREAD__) || defined(NUMPOOL_CHECKS)
constexpr int steps = 10000;
#else
constexpr int steps = 200000;
#endif

#if defined(__SANITIZE_ADDRESS__)
constexpr int forks = 0;  // its own allocator is not safe over fork, and hangs children
#elif defined(__SANITIZE_THREAD__) || defined(NUMPOOL_CHECKS)
constexpr int forks = 50;
#else
constexpr int forks = 1000;
#endif

constexpr std::size_t block_size = 64;

SharedFixedPoolOptions options_for(std::size_t blocks, std::size_t max_blocks) {
    SharedFixedPoolOptions options;
    options.block_size = block_size;
    options.blocks = blocks;
    options.max_blocks = max_blocks;
    return options;
}

/// Blocks that threads leave for each other, each filled with a byte of its own.
using Exchange = std::array<std::atomic<std::byte*>, 64>;

void fill(std::byte* block, unsigned pattern) {
    std::memset(block, static_cast<int>(pattern % 256), block_size);
}

void verify_and_release(SharedFixedPool& pool, std::byte* block) {
    for (std::size_t i = 1; i < block_size; ++i) CHECK(block[i] == block[0]);
    pool.release(block);
}

/// A block at once, or after a wait of at most some microseconds.
Block acquire_patiently(SharedFixedPool& pool, std::chrono::microseconds patience) {
    const auto waiter = std::make_shared<ThreadWaiter>();
    if (const Block block = pool.acquire_or_wait(waiter)) return block;
    waiter->wait(Doorbell::Clock::now() + patience);
    return pool.collect(*waiter);
}

/// Everything that a pool's users may do, by chance, until it is done or the pool is closed.
void use(SharedFixedPool& pool, Exchange& exchange, unsigned seed, int count) {
    std::mt19937 random{seed};
    try {
        for (int i = 0; i < count; ++i) {
            const auto chance = static_cast<unsigned>(random());
            Block block = chance % 8 == 0
                              ? acquire_patiently(pool, std::chrono::microseconds{chance / 8 % 64})
                              : pool.try_acquire();
            if (!block) std::this_thread::yield();
            if (block && chance % 64 == 1) {
                pool.release_unused(block.start);
                continue;
            }
            if (block) fill(block.start, chance);
            std::byte* const other = exchange[chance / 512 % exchange.size()].exchange(block.start);
            if (other != nullptr) verify_and_release(pool, other);
            if (chance % 128 == 2) {
                std::array<Block, 5> many{};
                if (pool.try_acquire_many(many)) {
                    for (const Block& one : many) pool.release(one.start);
                }
            }
        }
    } catch (const Closed&) {
    }
}

void release_all(SharedFixedPool& pool, Exchange& exchange) {
    for (auto& place : exchange) {
        if (std::byte* const block = place.exchange(nullptr)) verify_and_release(pool, block);
    }
}

}  // namespace

TEST("threads that free each other's blocks while others wait, trim, read figures and check") {
    struct Bounds {
        std::size_t blocks, max_blocks;
    };
    for (const auto& [blocks, max_blocks] : {Bounds{4, 4}, Bounds{100, 100}, Bounds{1, 5000}}) {
        const Handle pool = SharedFixedPool::create(options_for(blocks, max_blocks));
        Exchange exchange{};
        std::atomic<int> running = 3;
        std::vector<std::thread> threads;
        for (unsigned seed = 1; seed <= 3; ++seed) {
            threads.emplace_back([&, seed] {
                use(*pool, exchange, seed, steps);
                --running;
            });
        }
        std::thread watcher{[&] {
            while (running != 0) {
                pool->trim();
                pool->check();
                CHECK(pool->figures().blocks <= max_blocks);
                // Threads come and go.
                std::thread{[&] {
                    if (const Block block = pool->try_acquire()) pool->release(block.start);
                }}.join();
                std::this_thread::yield();
            }
        }};
        for (std::thread& thread : threads) thread.join();
        watcher.join();
        release_all(*pool, exchange);
        CHECK_EQUAL(pool->figures().blocks, 0U);
        CHECK(pool->figures().hits <= pool->figures().requests);
        pool->check();
        std::size_t all = 0;
        std::vector<Block> every;
        while (const Block block = pool->try_acquire()) {
            every.push_back(block);
            ++all;
        }
        CHECK_EQUAL(all, max_blocks);
        for (const Block& block : every) pool->release(block.start);
    }
}

TEST("a pool may be closed while threads use it and wait for it") {
    for (int round = 0; round < steps / 500; ++round) {
        Exchange exchange{};
        Handle pool = SharedFixedPool::create(options_for(8, 16));
        std::vector<std::thread> threads;
        for (unsigned seed = 1; seed <= 3; ++seed) {
            threads.emplace_back([&exchange, pool, seed] { use(*pool, exchange, seed, 1 << 30); });
        }
        std::this_thread::sleep_for(std::chrono::microseconds{round % 100 * 10});
        pool->close();
        for (std::thread& thread : threads) thread.join();
        pool->check();
        release_all(*pool, exchange);
        CHECK_EQUAL(pool->figures().mapped, 0U);
    }
}

TEST("children of a fork amid threads that allocate, wait and trim do as they like and exit") {
    const Handle pool = SharedFixedPool::create(options_for(200, 400));
    Exchange exchange{};
    std::atomic<bool> done = false;
    std::vector<std::thread> threads;
    for (unsigned seed = 1; seed <= 3; ++seed) {
        threads.emplace_back([&, seed] {
            for (unsigned round = 0; !done; ++round) {
                use(*pool, exchange, seed + round, 100);
                if (round % 8 == 0) pool->trim();
                std::this_thread::yield();
            }
        });
    }
    int failed = 0;
    for (int i = 0; i < forks; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(20);
            try {
                for (int k = 0; k < 10; ++k) {
                    const Block block = pool->try_acquire();
                    fill(block.start, 7);
                    verify_and_release(*pool, block.start);
                }
                pool->check();
                pool->trim();
                pool->check();
            } catch (...) {
                _exit(1);
            }
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        failed += status == 0 ? 0 : 1;
    }
    done = true;
    for (std::thread& thread : threads) thread.join();
    release_all(*pool, exchange);
    CHECK_EQUAL(failed, 0);
    CHECK_EQUAL(pool->figures().blocks, 0U);
    pool->check();
}
