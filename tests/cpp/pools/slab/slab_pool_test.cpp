#include "pools/slab/slab_pool.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;

namespace {

bool all_zero(const std::byte* block, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) {
        if (block[i] != std::byte{0}) return false;
    }
    return true;
}

SlabPoolOptions limited(std::size_t bytes) {
    SlabPoolOptions options;
    options.name = "frames";
    options.spans.limit = bytes;
    return options;
}

constexpr std::array<std::size_t, 14> sizes{0,    1,     15,    64,    65,      1000,         4096,
                                            4097, 32768, 65536, 65537, 1000000, 10 * 1000000, 64};

}  // namespace

TEST("a pool serves every size, aligned, and takes each block back") {
    SlabPool pool;
    for (const std::size_t size : sizes) {
        std::byte* const block = pool.acquire(size);
        CHECK(block != nullptr);
        CHECK(pool.owns(block));
        CHECK(pool.usable_size(block) >= size);
        CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(block) % (size < 64 ? 16U : 64U), 0U);
        std::memset(block, 0xff, size);
        pool.check();
        CHECK(pool.try_release(block, size));
        pool.check();
    }
    CHECK_EQUAL(pool.figures().total.blocks, 0U);
}

TEST("blocks of no bytes are blocks, each with an address of its own") {
    SlabPool pool;
    std::byte* const one = pool.acquire(0);
    std::byte* const other = pool.acquire(0);
    CHECK(one != other);
    CHECK(pool.try_release(one));
    CHECK(pool.try_release(other));
}

TEST("zeroed blocks are zero, fresh or used, small or large") {
    SlabPool pool;
    for (int round = 0; round < 3; ++round) {
        for (const std::size_t size : sizes) {
            std::byte* const block = pool.acquire_zeroed(size);
            CHECK(all_zero(block, size));
            std::memset(block, 0xff, pool.usable_size(block));
            pool.try_release(block, size);
        }
        if (round == 1) pool.trim();
    }
}

TEST("a new pool touches only what it hands out") {
    SlabPool pool;
    for (std::size_t i = 0; i < pool.classes().count(); ++i) pool.acquire(pool.classes().size(i));
    std::size_t fresh = 0;
    for (std::size_t i = 0; i < pool.classes().count(); ++i) {
        std::byte* const block = pool.acquire(pool.classes().size(i));
        fresh += all_zero(block, pool.classes().size(i)) ? 1 : 0;
    }
    CHECK_EQUAL(fresh, pool.classes().count());
    CHECK_EQUAL(pool.figures().total.blocks, 2 * pool.classes().count());
}

TEST("what is foreign is not owned and not released") {
    SlabPool pool;
    SlabPool other;
    std::byte local{};
    std::byte* const block = other.acquire(100);
    std::byte* const large = other.acquire(1000000);
    for (std::byte* const foreign : {&local, block, large}) {
        CHECK(!pool.owns(foreign));
        CHECK(!pool.try_release(foreign, 100));
        CHECK(pool.try_reallocate(foreign, 5) == nullptr);
        CHECK_EQUAL(pool.usable_size(foreign), 0U);
        CHECK_THROWS(BadArgument, "SlabPool: a block to reallocate is not this pool's",
                     pool.reallocate(foreign, 5));
    }
    CHECK(!pool.owns(nullptr));
    CHECK(pool.try_release(nullptr));
    CHECK(!pool.try_release(large + 64));
    pool.check();
    other.check();
}

TEST("the size that a release gives is a hint, however wrong") {
    SlabPool pool;
    for (const std::size_t wrong : {std::size_t{0}, std::size_t{1}, std::size_t{5000},
                                    std::size_t{1} << 20, ~std::size_t{0}}) {
        for (const std::size_t size : sizes) {
            CHECK(pool.try_release(pool.acquire(size), wrong));
            pool.check();
        }
        const auto figures = pool.figures();
        CHECK_EQUAL(figures.total.blocks, 0U);
        CHECK_EQUAL(figures.total.requested, 0U);
    }
}

TEST("a block that is reallocated keeps its contents, in place where it fits") {
    SlabPool pool;
    auto* block = pool.reallocate(nullptr, 10);
    for (int i = 0; i < 10; ++i) block[i] = static_cast<std::byte>(i);
    CHECK(pool.try_reallocate(block, 16) == block);
    for (const std::size_t size :
         {100UL, 5000UL, 70000UL, 5000000UL, 80000UL, 3000UL, 20UL, 10UL}) {
        block = pool.reallocate(block, size);
        for (int i = 0; i < 10; ++i) CHECK(block[i] == static_cast<std::byte>(i));
        pool.check();
        CHECK_EQUAL(pool.figures().total.blocks, 1U);
    }
    CHECK(pool.try_release(block, 10));
}

TEST("a small block that grows to 16 KiB becomes a span, and grows on where it is") {
    SlabPool pool;
    const std::size_t span = pages::granule;
    std::byte* block = pool.acquire(4 << 10);
    std::memset(block, 7, 4 << 10);
    block = pool.reallocate(block, 8 << 10);
    CHECK_EQUAL(pool.figures().spans.blocks, 0U);
    block = pool.reallocate(block, 16 << 10);
    for (std::size_t size = 16 << 10; size <= 60 << 10; size += 4 << 10) {
        CHECK_EQUAL(pool.reallocate(block, size), block);
        CHECK_EQUAL(pool.usable_size(block), size);
        const auto figures = pool.figures();
        CHECK_EQUAL(figures.spans.blocks, 1U);
        CHECK_EQUAL(figures.total.requested, size);
        CHECK_EQUAL(figures.total.in_use, span);
        pool.check();
    }
    CHECK(std::all_of(block, block + (4 << 10), [](std::byte b) { return b == std::byte{7}; }));
    // What is smaller than it was is of a class again: a span would be too much for it.
    block = pool.reallocate(block, 20 << 10);
    CHECK_EQUAL(pool.figures().spans.blocks, 0U);
    CHECK(std::all_of(block, block + (4 << 10), [](std::byte b) { return b == std::byte{7}; }));
    CHECK(pool.try_release(block, 20 << 10));
    CHECK_EQUAL(pool.figures().total.blocks, 0U);
    pool.check();
}

TEST("where there is no span for it a growing block is of the next class, or stays as it was") {
    SlabPool pool{limited(128 << 10)};
    std::byte* const block = pool.acquire(8 << 10);
    std::memset(block, 7, 8 << 10);
    CHECK_EQUAL(pool.figures().total.mapped >= 128U << 10, true);
    CHECK(pool.try_reallocate(block, 16 << 10) == nullptr);
    CHECK(block[(8 << 10) - 1] == std::byte{7});
    pool.check();

    SlabPool roomier{limited(512 << 10)};
    roomier.acquire(16 << 10);
    std::byte* const other = roomier.acquire(8 << 10);
    while (roomier.try_acquire(1 << 10) != nullptr) continue;
    const auto failures = roomier.figures().failures;
    CHECK(roomier.try_reallocate(other, 16 << 10) != nullptr);
    CHECK_EQUAL(roomier.figures().spans.blocks, 0U);
    CHECK_EQUAL(roomier.figures().failures, failures);
    roomier.check();
}

TEST("a shrinking block stays while more than half of it is needed") {
    SlabPool pool;
    auto* const block = pool.acquire(4096);
    CHECK(pool.try_reallocate(block, 2049) == block);
    CHECK(pool.try_reallocate(block, 2048) != block);
}

TEST("a limit is hard, is told, and leaves everything as it was") {
    SlabPool pool{limited(1 << 20)};
    CHECK_THROWS(
        Exhausted,
        "SlabPool 'frames': 2097152 bytes (2 MiB) requested, 0 bytes of a limit of 1 MiB in use",
        pool.acquire(2 << 20));
    std::vector<std::byte*> blocks;
    while (std::byte* const block = pool.try_acquire(4000)) blocks.push_back(block);
    CHECK(blocks.size() >= 16 * 15);
    CHECK(pool.figures().total.mapped >= blocks.size() * 4096);
    CHECK_THROWS(
        Exhausted,
        "SlabPool 'frames': 4000 bytes (3.91 KiB) requested, 1 MiB of a limit of 1 MiB in use",
        pool.acquire(4000));
    CHECK_THROWS(Exhausted, "release blocks or raise the limit", pool.acquire_zeroed(4000));
    CHECK(pool.try_reallocate(blocks[0], 5000) == nullptr);
    pool.check();
    CHECK_EQUAL(pool.figures().failures, 5U);
    for (std::byte* const block : blocks) pool.try_release(block, 4000);
    CHECK(pool.try_acquire(100) != nullptr);
    CHECK(pool.try_acquire(900000) != nullptr);
    pool.check();
}

TEST("what magazines and empty slabs hold is given up before a request is refused") {
    SlabPool pool{limited(256 << 10)};
    std::array<std::byte*, 3> blocks{pool.acquire(16), pool.acquire(1000), pool.acquire(4000)};
    for (std::byte* const block : blocks) pool.try_release(block);
    CHECK(pool.try_acquire(250000) != nullptr);
    CHECK(pool.try_acquire(1) == nullptr);
    pool.check();
}

TEST("a burst's blocks are at hand for the next burst, as far as a few megabytes go") {
    SlabPool pool;
    const auto burst = [&](std::size_t size, std::size_t count) {
        const auto hits = pool.figures().total.hits;
        std::vector<std::byte*> blocks(count);
        for (std::byte*& block : blocks) block = pool.acquire(size);
        for (std::byte* const block : blocks) pool.try_release(block, size);
        return pool.figures().total.hits - hits;
    };
    burst(4096, 500);
    CHECK_EQUAL(burst(4096, 500), 500U);
    burst(65536, 500);
    CHECK(burst(65536, 500) < 500U);
    pool.check();
    // Trimmed, it starts over, and as much may be at hand again.
    pool.trim();
    CHECK_EQUAL(pool.figures().total.committed, 0U);
    CHECK(burst(4096, 500) < 500U);
    CHECK_EQUAL(burst(4096, 500), 500U);
    pool.check();
}

TEST("sizes that no machine has are refused, not wrapped") {
    SlabPool pool;
    for (const std::size_t size :
         {~std::size_t{0}, ~std::size_t{0} - 4096, std::size_t{1} << 62, std::size_t{1} << 47}) {
        CHECK(pool.try_acquire(size) == nullptr);
        CHECK(pool.try_acquire_zeroed(size) == nullptr);
        CHECK_THROWS(Exhausted, "requested", pool.acquire(size));
        auto* const block = pool.acquire(100);
        CHECK(pool.try_reallocate(block, size) == nullptr);
        CHECK(pool.try_release(block, 100));
        pool.check();
    }
}

TEST("figures tell what is asked for, rounded, at hand and held") {
    SlabPool pool;
    std::vector<std::byte*> blocks;
    for (int i = 0; i < 100; ++i) blocks.push_back(pool.acquire(1000));
    std::byte* const large = pool.acquire(1 << 20);
    auto figures = pool.figures();
    const ClassFigures& one = figures.classes[pool.classes().class_of(1000)];
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
    for (std::byte* const block : blocks) pool.try_release(block, 1000);
    pool.try_release(large);
    figures = pool.figures();
    CHECK_EQUAL(figures.total.blocks, 0U);
    CHECK_EQUAL(figures.total.requested, 0U);
    CHECK_EQUAL(figures.total.in_use, 0U);
    CHECK_EQUAL(figures.total.asked, 100000U + (1 << 20));
    CHECK_EQUAL(figures.spans.hits, 0U);
    CHECK(figures.peak_committed >= figures.peak);
    CHECK(figures.total.cached > 102400U);
    CHECK(figures.peak >= 102400U + (1 << 20));
    CHECK(pool.trim() > 1 << 20);
    figures = pool.figures();
    CHECK_EQUAL(figures.total.cached, 0U);
    CHECK_EQUAL(figures.total.committed, 0U);
}

TEST("classes can be chosen") {
    SlabPoolOptions options;
    options.classes = {48, 4160};
    SlabPool pool{options};
    CHECK_EQUAL(pool.usable_size(pool.acquire(1)), 48U);
    CHECK_EQUAL(pool.usable_size(pool.acquire(49)), 4160U);
    CHECK_EQUAL(pool.usable_size(pool.acquire(4161)), 5120U);
    options.classes = {0};
    CHECK_THROWS(BadArgument, "a size class of 0 bytes", SlabPool{options});
}

TEST("a block released twice is told by check") {
    SlabPool pool;
    std::byte* const block = pool.acquire(64);
    pool.try_release(block, 64);
    pool.try_release(block, 64);
    CHECK_THROWS(Corrupted, "is at hand twice: someone released it twice", pool.check());
    pool.trim();
    CHECK_THROWS(Corrupted, "someone released twice", pool.check());
}

TEST("slabs that nobody needed for the decay time are given back") {
    SlabPoolOptions options;
    options.spans.decay_milliseconds = 5;
    SlabPool pool{options};
    std::vector<std::byte*> blocks;
    for (int i = 0; i < 10000; ++i) blocks.push_back(pool.acquire(1024));
    for (std::byte* const block : blocks) {
        block[0] = std::byte{1};
        pool.try_release(block, 1024);
    }
    for (int i = 0; i < 10; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        pool.decay();
    }
    CHECK(pool.figures().total.committed < 1 << 20);
    pool.check();
}
