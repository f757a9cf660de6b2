#include <array>
#include <cstring>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "testing.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

SharedSlabPoolOptions limited(std::size_t bytes) {
    SharedSlabPoolOptions options;
    options.name = "frames";
    options.spans.limit = bytes;
    return options;
}

}  // namespace

TEST("a growing block gets the next class where there is no span, or stays as it was") {
    const auto pool = SharedSlabPool::create(limited(128 << 10));
    std::byte* const block = pool->acquire(8 << 10);
    std::memset(block, 7, 8 << 10);
    CHECK_EQUAL(pool->class_figures().total.mapped >= 128U << 10, true);
    CHECK(pool->try_reallocate(block, 16 << 10) == nullptr);
    CHECK(block[(8 << 10) - 1] == std::byte{7});
    pool->check();

    const auto roomier = SharedSlabPool::create(limited(512 << 10));
    roomier->acquire(16 << 10);
    std::byte* const other = roomier->acquire(8 << 10);
    while (roomier->try_acquire(1 << 10) != nullptr) continue;
    const auto failures = roomier->class_figures().failures;
    CHECK(roomier->try_reallocate(other, 16 << 10) != nullptr);
    CHECK_EQUAL(roomier->class_figures().spans.blocks, 0U);
    CHECK_EQUAL(roomier->class_figures().failures, failures);
    roomier->check();
}

TEST("a limit is hard and named in the error, and the refusal changes nothing") {
    const auto pool = SharedSlabPool::create(limited(1 << 20));
    CHECK_THROWS(
        Exhausted,
        "SlabPool 'frames': 2097152 bytes (2 MiB) requested, 0 bytes of a limit of 1 MiB in use; "
        "that is more than the limit: raise the limit",
        pool->acquire(2 << 20));
    CHECK_THROWS(Exhausted, "; rounded up, that is more than the limit", pool->acquire(1 << 20));
    std::vector<std::byte*> blocks;
    while (std::byte* const block = pool->try_acquire(4000)) blocks.push_back(block);
    CHECK(blocks.size() >= 16 * 15);
    CHECK(pool->class_figures().total.mapped >= blocks.size() * 4096);
    CHECK_THROWS(
        Exhausted,
        "SlabPool 'frames': 4000 bytes (3.91 KiB) requested, 1 MiB of a limit of 1 MiB in use",
        pool->acquire(4000));
    CHECK_THROWS(Exhausted, "release blocks or raise the limit", pool->acquire(4000));
    CHECK(pool->try_acquire_zeroed(4000) == nullptr);
    CHECK(pool->try_reallocate(blocks[0], 5000) == nullptr);
    pool->check();
    CHECK_EQUAL(pool->class_figures().failures, 7U);
    for (std::byte* const block : blocks) pool->try_release(block, 4000);
    CHECK(pool->try_acquire(100) != nullptr);
    CHECK(pool->try_acquire(900000) != nullptr);
    pool->check();
}

TEST("magazines and empty slabs give their memory back before a request is refused") {
    const auto pool = SharedSlabPool::create(limited(256 << 10));
    std::array<std::byte*, 3> blocks{pool->acquire(16), pool->acquire(1000), pool->acquire(4000)};
    for (std::byte* const block : blocks) pool->try_release(block);
    CHECK(pool->try_acquire(250000) != nullptr);
    CHECK(pool->try_acquire(1) == nullptr);
    pool->check();
}

TEST("a burst's blocks are at hand for the next burst, up to a few megabytes") {
    const auto pool = SharedSlabPool::create();
    const auto burst = [&](std::size_t size, std::size_t count) {
        const auto hits = pool->class_figures().total.hits;
        std::vector<std::byte*> blocks(count);
        for (std::byte*& block : blocks) block = pool->acquire(size);
        for (std::byte* const block : blocks) pool->try_release(block, size);
        return pool->class_figures().total.hits - hits;
    };
    burst(4096, 500);
    CHECK_EQUAL(burst(4096, 500), 500U);
    burst(65536, 500);
    CHECK(burst(65536, 500) < 500U);
    pool->check();
    // After a trim the magazines may hold as much as before.
    pool->trim();
    CHECK_EQUAL(pool->class_figures().total.committed, 0U);
    CHECK(burst(4096, 500) < 500U);
    CHECK_EQUAL(burst(4096, 500), 500U);
    pool->check();
}

TEST("sizes beyond any machine are refused and do not overflow") {
    const auto pool = SharedSlabPool::create();
    for (const std::size_t size :
         {~std::size_t{0}, ~std::size_t{0} - 4096, std::size_t{1} << 62, std::size_t{1} << 47}) {
        CHECK(pool->try_acquire(size) == nullptr);
        CHECK(pool->try_acquire_zeroed(size) == nullptr);
        CHECK_THROWS(Exhausted, "requested", pool->acquire(size));
        auto* const block = pool->acquire(100);
        CHECK(pool->try_reallocate(block, size) == nullptr);
        CHECK(pool->try_release(block, 100));
        pool->check();
    }
}

TEST("figures count bytes as requested, as rounded, at hand and held") {
    const auto pool = SharedSlabPool::create();
    std::vector<std::byte*> blocks;
    for (int i = 0; i < 100; ++i) blocks.push_back(pool->acquire(1000));
    std::byte* const large = pool->acquire(1 << 20);
    auto figures = pool->class_figures();
    const pools::ClassFigures& one = figures.classes[class_at(pool->centre().offsets().of(1000))];
    CHECK_EQUAL(one.block_size, 1024U);
    CHECK_EQUAL(one.blocks, 100U);
    CHECK_EQUAL(one.requested, 100000U);
    CHECK_EQUAL(one.in_use, 102400U);
    CHECK_EQUAL(one.requests, 100U);
    CHECK_EQUAL(one.asked, 100000U);
    CHECK(one.hits >= 96U);
    CHECK(one.committed >= one.in_use);
    CHECK(one.mapped >= one.committed);
    CHECK_EQUAL(figures.spans.requested, std::size_t{1} << 20);
    CHECK_EQUAL(figures.total.blocks, 101U);
    CHECK_EQUAL(figures.total.requested, 100000U + (1 << 20));
    CHECK(figures.peak >= figures.total.in_use);
    for (std::byte* const block : blocks) pool->try_release(block, 1000);
    pool->try_release(large);
    figures = pool->class_figures();
    CHECK_EQUAL(figures.total.blocks, 0U);
    CHECK_EQUAL(figures.total.requested, 0U);
    CHECK_EQUAL(figures.total.in_use, 0U);
    CHECK_EQUAL(figures.total.asked, 100000U + (1 << 20));
    CHECK_EQUAL(figures.spans.hits, 0U);
    CHECK(figures.peak_committed >= figures.peak);
    CHECK(figures.total.cached > 102400U);
    CHECK(figures.peak >= 102400U + (1 << 20));
    CHECK(pool->trim() > 1 << 20);
    figures = pool->class_figures();
    CHECK_EQUAL(figures.total.cached, 0U);
    CHECK_EQUAL(figures.total.committed, 0U);
}

TEST("slabs that were not needed for the decay time are given back") {
    SharedSlabPoolOptions options;
    options.spans.decay_milliseconds = 5;
    const auto pool = SharedSlabPool::create(options);
    std::vector<std::byte*> blocks;
    for (int i = 0; i < 10000; ++i) blocks.push_back(pool->acquire(1024));
    for (std::byte* const block : blocks) {
        block[0] = std::byte{1};
        pool->try_release(block, 1024);
    }
    for (int i = 0; i < 10; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        pool->decay();
    }
    CHECK(pool->class_figures().total.committed < 1 << 20);
    pool->check();
}

TEST("a part of the limit may be kept for small blocks, and the refusal names it") {
    const auto pool = SharedSlabPool::create(limited(16 << 20));
    pool->keep_for_small(2 << 20);
    std::byte* const large = pool->acquire(13 << 20);
    CHECK_THROWS(
        Exhausted,
        "SlabPool 'frames': 2097152 bytes (2 MiB) requested, 13.1 MiB of a limit of 16 MiB "
        "in use, 2 MiB of it kept for small blocks; release blocks or raise the limit",
        pool->acquire(2 << 20));
    std::size_t small = 0;
    while (pool->try_acquire(1000) != nullptr) small += 1024;
    CHECK(small >= 2U << 20);
    CHECK(pool->figures().in_use <= 16U << 20);
    CHECK_EQUAL(pool->figures().limit, 16U << 20);
    CHECK(pool->refusal(1000).find("kept") == std::string::npos);
    pool->release(large, 13 << 20);
    CHECK(pool->try_acquire(12 << 20) == nullptr);
    pool->keep_for_small(0);
    CHECK(pool->try_acquire(12 << 20) != nullptr);
    pool->check();
}
