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
#include "threads/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

#if defined(__SANITIZE_THREAD__) || defined(NUMPOOL_CHECKS)
constexpr int steps = 20000;
#else
constexpr int steps = 300000;
#endif

#if defined(__SANITIZE_ADDRESS__)
constexpr int forks = 0;  // its own allocator is not safe over fork, and hangs children
#elif defined(__SANITIZE_THREAD__) || defined(NUMPOOL_CHECKS)
constexpr int forks = 50;
#else
constexpr int forks = 1000;
#endif

using Handle = PoolHandle<SharedSlabPool>;

/// Blocks that threads leave for each other, each filled with a byte of its own.
struct Exchange {
    struct Block {
        std::byte* start = nullptr;
        std::size_t bytes = 0;
        unsigned char pattern = 0;
    };
    std::array<std::atomic<Block*>, 256> places{};
};

void verify(const Exchange::Block& block) {
    const auto* const bytes = reinterpret_cast<const unsigned char*>(block.start);
    for (std::size_t i = 0; i < block.bytes; i += 1 + block.bytes / 64) {
        CHECK_EQUAL(bytes[i], block.pattern);
    }
}

/// Acquires, fills, swaps with what lies in a random place, verifies that and releases it.
void exchange_blocks(SharedSlabPool& pool, Exchange& exchange, unsigned seed, int count) {
    std::mt19937 random{seed};
    for (int i = 0; i < count; ++i) {
        const std::size_t limit = random() % 64 == 0 ? 300000 : 2000;
        auto* block = new Exchange::Block{nullptr, random() % limit, static_cast<unsigned char>(i)};
        block->start = pool.try_acquire(block->bytes);
        if (block->start == nullptr) {
            delete block;
            block = nullptr;
        } else {
            std::memset(block->start, block->pattern, block->bytes);
        }
        block = exchange.places[random() % exchange.places.size()].exchange(block);
        if (block == nullptr) continue;
        verify(*block);
        if (random() % 16 == 0) {
            if (auto* const moved = pool.try_reallocate(block->start, block->bytes / 3 + 1)) {
                block->start = moved;
                block->bytes = block->bytes / 3 + 1;
                if (block->bytes > 1) verify(*block);
            }
        }
        CHECK(pool.try_release(block->start, block->bytes));
        delete block;
    }
}

void release_all(SharedSlabPool& pool, Exchange& exchange) {
    for (auto& place : exchange.places) {
        if (auto* const block = place.exchange(nullptr)) {
            verify(*block);
            pool.try_release(block->start, block->bytes);
            delete block;
        }
    }
}

}  // namespace

TEST("threads that free each other's blocks while others trim, read figures and check") {
    for (const std::size_t limit : {pools::SpanBankOptions::unbounded, std::size_t{8} << 20}) {
        SharedSlabPoolOptions options;
        options.spans.limit = limit;
        options.spans.decay_milliseconds = 3;
        const Handle pool = SharedSlabPool::create(options);
        Exchange exchange;
        std::atomic<int> running = 3;
        std::vector<std::thread> threads;
        for (unsigned seed = 1; seed <= 3; ++seed) {
            threads.emplace_back([&, seed] {
                exchange_blocks(*pool, exchange, seed, steps);
                --running;
            });
        }
        std::thread watcher{[&] {
            while (running != 0) {
                pool->trim();
                pool->check();
                CHECK(pool->figures().in_use <= pool->figures().mapped + (64 << 20));
                std::thread{[&] { pool->try_release(pool->try_acquire(100)); }}.join();
                std::this_thread::yield();
            }
        }};
        for (std::thread& thread : threads) thread.join();
        watcher.join();
        release_all(*pool, exchange);
        CHECK_EQUAL(pool->figures().blocks, 0U);
        pool->check();
    }
}

TEST("a pool whose last handle goes while threads release ends once and whole") {
    for (int round = 0; round < steps / 1000; ++round) {
        std::array<std::vector<std::byte*>, 2> blocks;
        Handle pool = SharedSlabPool::create();
        SharedSlabPool* const address = pool.get();
        for (int i = 0; i < 300; ++i) {
            blocks[static_cast<std::size_t>(i % 2)].push_back(
                pool->acquire(static_cast<std::size_t>(i) * 500));
        }
        std::array<std::thread, 2> threads;
        for (std::size_t who = 0; who < 2; ++who) {
            threads[who] = std::thread{[&, who] {
                for (std::byte* const block : blocks[who]) CHECK(address->try_release(block));
            }};
        }
        pool = Handle{};
        for (std::thread& thread : threads) thread.join();
    }
}

TEST("children of a fork amid threads that allocate and make pools do as they like and exit") {
    const Handle pool = SharedSlabPool::create();
    Exchange exchange;
    std::atomic<bool> done = false;
    std::vector<std::thread> threads;
    for (unsigned seed = 1; seed <= 2; ++seed) {
        threads.emplace_back([&, seed] {
            for (unsigned round = 0; !done; ++round) {
                exchange_blocks(*pool, exchange, seed + round, 100);
                std::this_thread::yield();
            }
        });
    }
    threads.emplace_back([&] {
        while (!done) {
            const Handle brief = SharedSlabPool::create();
            brief->try_release(brief->acquire(100000));
            std::this_thread::yield();
        }
    });
    int failed = 0;
    for (int i = 0; i < forks; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(20);
            try {
                for (std::size_t size : {10, 1000, 100000}) {
                    std::byte* const block = pool->acquire(size);
                    std::memset(block, 1, size);
                    pool->try_release(block, size);
                }
                pool->check();
                pool->trim();
                pool->check();
                const Handle another = SharedSlabPool::create();
                another->try_release(another->acquire(100));
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
