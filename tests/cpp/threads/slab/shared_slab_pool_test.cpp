#include "threads/slab/shared_slab_pool.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <latch>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

using Handle = PoolHandle<SharedSlabPool>;

SharedSlabPoolOptions limited(std::size_t bytes) {
    SharedSlabPoolOptions options;
    options.name = "frames";
    options.spans.limit = bytes;
    return options;
}

void in_a_thread(const std::function<void()>& work) {
    std::thread{work}.join();
}

}  // namespace

TEST("a block may be released by another thread than it was acquired by") {
    const Handle pool = SharedSlabPool::create();
    std::vector<std::byte*> blocks;
    for (std::size_t size : {0, 10, 1000, 60000, 100000}) {
        for (int i = 0; i < 200; ++i) blocks.push_back(pool->acquire(size));
    }
    in_a_thread([&] {
        for (std::byte* const block : blocks) CHECK(pool->try_release(block));
    });
    CHECK_EQUAL(pool->figures().blocks, 0U);
    pool->check();
}

TEST("a thread that ends gives back its blocks at hand, and its requests stay counted") {
    const Handle pool = SharedSlabPool::create();
    in_a_thread([&] {
        for (int i = 0; i < 100; ++i) pool->try_release(pool->acquire(100), 100);
    });
    const auto figures = pool->figures();
    CHECK_EQUAL(figures.requests, 100U);
    CHECK_EQUAL(figures.hits, 99U);
    CHECK_EQUAL(figures.blocks, 0U);
    CHECK_EQUAL(figures.requested, 0U);
    pool->check();
    CHECK(pool->trim() > 0);
    CHECK_EQUAL(pool->figures().committed, 0U);
}

TEST("blocks that other threads have at hand are used before a request is refused") {
    const Handle pool = SharedSlabPool::create(limited(64 << 10));
    std::atomic<int> stage = 0;
    std::thread other{[&] {
        std::vector<std::byte*> blocks;
        for (int i = 0; i < 64; ++i) blocks.push_back(pool->try_acquire(1024));
        for (std::byte* const block : blocks) pool->try_release(block, 1024);
        stage = 1;
        while (stage != 2) std::this_thread::yield();
    }};
    while (stage != 1) std::this_thread::yield();
    std::vector<std::byte*> blocks;
    while (std::byte* const block = pool->try_acquire(1024)) blocks.push_back(block);
    CHECK_EQUAL(blocks.size(), 64U);
    CHECK_THROWS(Exhausted,
                 "SlabPool 'frames': 1024 bytes (1 KiB) requested, 64 KiB of a limit of 64 KiB",
                 pool->acquire(1024));
    for (std::byte* const block : blocks) pool->try_release(block, 1024);
    CHECK(pool->try_acquire(65537) == nullptr);
    CHECK(pool->try_acquire(60000) == nullptr);
    stage = 2;
    other.join();
    pool->check();
}

TEST("trim and decay give back blocks that idle threads have at hand") {
    SharedSlabPoolOptions options;
    options.spans.decay_milliseconds = 1;
    for (const bool by_trim : {true, false}) {
        const Handle pool = SharedSlabPool::create(options);
        std::atomic<int> stage = 0;
        std::thread idle{[&] {
            pool->try_release(pool->acquire(64), 64);
            stage = 1;
            while (stage != 2) std::this_thread::yield();
            CHECK(pool->try_release(pool->acquire(64), 64));
        }};
        while (stage != 1) std::this_thread::yield();
        if (by_trim) {
            pool->trim();
        } else {
            for (int i = 0; i < 6; ++i) {
                std::this_thread::sleep_for(std::chrono::milliseconds{10});
                pool->decay();
            }
        }
        CHECK_EQUAL(pool->figures().committed, 0U);
        stage = 2;
        idle.join();
        pool->check();
    }
}

TEST("a growing block that became a span is released like others, by any thread") {
    const Handle pool = SharedSlabPool::create();
    std::byte* block = pool->acquire(10 << 10);
    block[0] = std::byte{7};
    block = pool->reallocate(block, 20 << 10);
    CHECK_EQUAL(pool->class_figures().spans.requested, std::size_t{20} << 10);
    CHECK_EQUAL(pool->try_reallocate(block, 40 << 10), block);
    CHECK(block[0] == std::byte{7});
    in_a_thread([&] { CHECK(pool->try_release(block, 40 << 10)); });
    CHECK_EQUAL(pool->figures().blocks, 0U);
    pool->check();
}

TEST("live blocks keep the pool when its last handle is gone, whichever thread releases them") {
    pages::FakePages pages{pages::range_pages()};
    pages::FakePages records;
    std::array<std::byte*, 4> blocks{};
    SharedSlabPool* address = nullptr;
    {
        const Handle pool = SharedSlabPool::create({}, pages, records);
        blocks = {pool->acquire(100), pool->acquire(100), pool->acquire(5000),
                  pool->acquire(1000000)};
        for (int i = 0; i < 50; ++i) pool->try_release(pool->acquire(100));
        address = pool.get();
    }
    std::memset(blocks[3], 1, 1000000);
    CHECK(address->owns(blocks[0]));
    CHECK(address->try_acquire(100) == nullptr);
    in_a_thread([&] { CHECK(address->try_release(blocks[0], 100)); });
    CHECK(address->try_release(blocks[1]));
    CHECK(address->try_release(blocks[3]));
    CHECK(pages.mapped != 0);
    CHECK(address->try_release(blocks[2], 5000));
    CHECK_EQUAL(pages.mapped, 0U);
    CHECK_EQUAL(records.mapped, 0U);
}

TEST("a closed pool refuses requests, keeps live blocks, and gives its memory back with the last") {
    const Handle pool = SharedSlabPool::create();
    std::byte* const small = pool->acquire(100);
    std::byte* const large = pool->acquire(1000000);
    pool->close();
    pool->close();
    CHECK(pool->closed());
    CHECK_THROWS(Closed, "SlabPool is closed and takes no more requests", pool->acquire(1));
    CHECK_THROWS(Closed, "is closed", pool->acquire(1000000));
    CHECK(pool->try_acquire_zeroed(1000000) == nullptr);
    CHECK(pool->try_reallocate(small, 100) == small);
    CHECK(pool->try_reallocate(small, 1000) == nullptr);
    CHECK(pool->try_reallocate(large, 2000000) == nullptr);
    pool->check();
    CHECK(pool->try_release(small));
    CHECK(pool->try_release(large));
    CHECK_EQUAL(pool->figures().committed, 0U);
    pool->check();
}

TEST("a thread uses many pools by turns, and its magazines of dead ones serve no request") {
    std::vector<Handle> alive;
    for (int round = 0; round < 5; ++round) {
        for (int i = 0; i < 40; ++i) alive.push_back(SharedSlabPool::create());
        for (int turn = 0; turn < 3; ++turn) {
            for (const Handle& pool : alive) {
                std::byte* const block = pool->acquire(64);
                CHECK(pool->owns(block));
                CHECK(pool->try_release(block, 64));
            }
        }
        for (const Handle& pool : alive) pool->check();
        alive.erase(alive.begin() + 3, alive.end());
    }
}

TEST("one thread uses pools with few, with the usual and with the most classes by turns") {
    SharedSlabPoolOptions few;
    few.classes = {SizeClasses::largest};
    SharedSlabPoolOptions most;
    for (std::size_t i = 1; i <= SizeClasses::most; ++i) most.classes.push_back(i * 64);
    std::vector<Handle> pools;
    for (const SharedSlabPoolOptions& options : {few, SharedSlabPoolOptions{}, most}) {
        pools.push_back(SharedSlabPool::create(options));
    }
    struct Live {
        SharedSlabPool* pool;
        std::byte* block;
        std::size_t bytes;
    };
    std::vector<Live> live;
    for (std::size_t turn = 0; turn < 2000; ++turn) {
        const std::size_t size = turn * 997 % SizeClasses::largest;
        live.push_back({pools[turn % 3].get(), pools[turn % 3]->acquire(size), size});
        if (turn % 7 != 0) continue;
        // The thread has the last pool's magazines at hand, and must find those of the others.
        for (const auto& [pool, block, bytes] : live) CHECK(pool->try_release(block, bytes));
        live.clear();
    }
    // A pool refuses another pool's block, or passes it to that pool.
    for (const auto& [pool, block, bytes] : live) {
        SharedSlabPool* const other = pool == pools[0].get() ? pools[1].get() : pools[0].get();
        if (!other->try_release(block, bytes)) CHECK(pool->try_release(block, bytes));
    }
    for (const Handle& pool : pools) {
        pool->check();
        CHECK_EQUAL(pool->figures().blocks, 0U);
    }
}

#ifndef __SANITIZE_ADDRESS__  // Its own allocator is not safe over fork, and hangs children.
namespace {

/// All addresses that this process has mapped.
std::size_t mapped_bytes() {
    std::size_t pages = 0;
    std::ifstream{"/proc/self/statm"} >> pages;
    return pages * pages::page_size();
}

}  // namespace

TEST("a forked child keeps no records of threads that it does not have") {
    constexpr std::size_t count = 6;
    const Handle pool = SharedSlabPool::create();
    std::latch ready{count};
    std::latch end{1};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < count; ++i) {
        threads.emplace_back([&] {
            pool->try_release(pool->acquire(64), 64);
            ready.count_down();
            end.wait();
        });
    }
    ready.wait();
    pool->try_release(pool->acquire(64), 64);
    const std::size_t before = mapped_bytes();
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        pool->try_release(pool->acquire(64), 64);
        pool->check();
        const std::size_t gone = before - mapped_bytes();
        _exit(gone >= count * SizeClasses::most_in_all * sizeof(pools::Magazine) ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    end.count_down();
    for (std::thread& thread : threads) thread.join();
    CHECK_EQUAL(status, 0);
}
#endif

TEST("blocks may be released after the thread's own storage is gone") {
    static const Handle pool = SharedSlabPool::create();
    struct Late {
        std::byte* block = nullptr;
        ~Late() {
            pool->try_release(block, 64);
            pool->try_release(pool->acquire(64), 64);
        }
    };
    const auto make_key = [] {
        pthread_key_t key{};
        pthread_key_create(&key, [](void* late) { delete static_cast<Late*>(late); });
        return key;
    };
    // Made after the pool's own key, so destroyed after it.
    pool->try_release(pool->acquire(64));
    const pthread_key_t key = make_key();
    in_a_thread([&] { pthread_setspecific(key, new Late{pool->acquire(64)}); });
    CHECK_EQUAL(pool->figures().blocks, 0U);
    pool->check();
    pthread_key_delete(key);
}

TEST("a trim gives pages back in steps, so that it never keeps the lock for long") {
    constexpr std::size_t mebibyte = std::size_t{1} << 20;
    pages::FakePages pages{pages::range_pages()};
    SharedSlabPoolOptions options;
    options.spans.decay_milliseconds = 1;  // All of it decays before the trim.
    const auto pool = SharedSlabPool::create(options, pages);
    for (const std::size_t blocks : {1U, 3U}) {
        std::vector<std::byte*> all;
        for (std::size_t i = 0; i < blocks; ++i) {
            all.push_back(pool->acquire(200 * mebibyte));
            std::memset(all.back(), 1, 200 * mebibyte);
        }
        for (std::byte* const block : all) pool->release(block);
        CHECK(pool->figures().cached >= blocks * 200 * mebibyte);
        pages.largest_purge = 0;
        CHECK(pool->trim() >= blocks * 200 * mebibyte);
        CHECK_EQUAL(pool->figures().cached, 0U);
        CHECK(pages.largest_purge <= 18 * mebibyte);
    }
    pool->check();
}
