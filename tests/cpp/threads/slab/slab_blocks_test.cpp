#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.hpp"
#include "testing.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

bool all_zero(const std::byte* block, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) {
        if (block[i] != std::byte{0}) return false;
    }
    return true;
}

constexpr std::array<std::size_t, 14> sizes{0,    1,     15,    64,    65,      1000,         4096,
                                            4097, 32768, 65536, 65537, 1000000, 10 * 1000000, 64};

}  // namespace

TEST("a pool serves every size, aligned, and takes each block back") {
    const auto pool = SharedSlabPool::create();
    for (const std::size_t size : sizes) {
        std::byte* const block = pool->acquire(size);
        CHECK(block != nullptr);
        CHECK(pool->owns(block));
        CHECK(pool->usable_size(block) >= size);
        CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(block) % (size < 64 ? 16U : 64U), 0U);
        std::memset(block, 0xff, size);
        pool->check();
        CHECK(pool->try_release(block, size));
        pool->check();
    }
    CHECK_EQUAL(pool->class_figures().total.blocks, 0U);
}

TEST("a request for 0 bytes gets a block with an address of its own") {
    const auto pool = SharedSlabPool::create();
    std::byte* const one = pool->acquire(0);
    std::byte* const other = pool->acquire(0);
    CHECK(one != other);
    CHECK(pool->try_release(one));
    CHECK(pool->try_release(other));
}

TEST("zeroed blocks are zero, fresh or used, small or large") {
    const auto pool = SharedSlabPool::create();
    for (int round = 0; round < 3; ++round) {
        for (const std::size_t size : sizes) {
            std::byte* const block = pool->try_acquire_zeroed(size);
            CHECK(all_zero(block, size));
            std::memset(block, 0xff, pool->usable_size(block));
            pool->try_release(block, size);
        }
        if (round == 1) pool->trim();
    }
}

TEST("a new pool touches only what it hands out") {
    const auto pool = SharedSlabPool::create();
    for (std::size_t i = 0; i < pool->classes().count(); ++i)
        pool->acquire(pool->classes().size(i));
    std::size_t fresh = 0;
    for (std::size_t i = 0; i < pool->classes().count(); ++i) {
        std::byte* const block = pool->acquire(pool->classes().size(i));
        fresh += all_zero(block, pool->classes().size(i)) ? 1 : 0;
    }
    CHECK_EQUAL(fresh, pool->classes().count());
    CHECK_EQUAL(pool->class_figures().total.blocks, 2 * pool->classes().count());
}

TEST("a foreign block is not owned, not released and not moved") {
    const auto pool = SharedSlabPool::create();
    const auto other = SharedSlabPool::create();
    std::byte local{};
    std::byte* const block = other->acquire(100);
    std::byte* const large = other->acquire(1000000);
    // From here on the thread has this pool's magazines at hand, not the other's.
    CHECK(pool->try_release(pool->acquire(100), 100));
    for (std::byte* const foreign : {&local, block, large}) {
        CHECK(!pool->owns(foreign));
        for (const std::size_t bytes : {100UL, 1000000UL})
            CHECK(!pool->try_release(foreign, bytes));
        CHECK(pool->try_reallocate(foreign, 5) == nullptr);
        CHECK_EQUAL(pool->usable_size(foreign), 0U);
    }
    CHECK(!pool->owns(nullptr));
    CHECK(pool->try_release(nullptr));
    CHECK(pool->try_release(nullptr, 1000000));
    CHECK(!pool->try_release(large + 64));
    CHECK(!other->try_release(large + 64, 1000000));
    pool->check();
    other->check();
}

TEST("the size that a release gives is only a hint") {
    const auto pool = SharedSlabPool::create();
    for (const std::size_t wrong : {std::size_t{0}, std::size_t{1}, std::size_t{5000},
                                    std::size_t{1} << 20, ~std::size_t{0}}) {
        for (const std::size_t size : sizes) {
            CHECK(pool->try_release(pool->acquire(size), wrong));
            pool->check();
        }
        const auto figures = pool->class_figures();
        CHECK_EQUAL(figures.total.blocks, 0U);
        CHECK_EQUAL(figures.total.requested, 0U);
    }
}

TEST("a block that is reallocated keeps its contents, in place where it fits") {
    const auto pool = SharedSlabPool::create();
    auto* block = pool->reallocate(nullptr, 10);
    for (int i = 0; i < 10; ++i) block[i] = static_cast<std::byte>(i);
    CHECK(pool->try_reallocate(block, 16) == block);
    for (const std::size_t size :
         {100UL, 5000UL, 70000UL, 5000000UL, 80000UL, 3000UL, 20UL, 10UL}) {
        block = pool->reallocate(block, size);
        for (int i = 0; i < 10; ++i) CHECK(block[i] == static_cast<std::byte>(i));
        pool->check();
        CHECK_EQUAL(pool->class_figures().total.blocks, 1U);
    }
    CHECK(pool->try_release(block, 10));
}

TEST("a small block that grows to 16 KiB becomes a span, and then grows in place") {
    const auto pool = SharedSlabPool::create();
    const std::size_t span = pages::granule;
    std::byte* block = pool->acquire(4 << 10);
    std::memset(block, 7, 4 << 10);
    block = pool->reallocate(block, 8 << 10);
    CHECK_EQUAL(pool->class_figures().spans.blocks, 0U);
    block = pool->reallocate(block, 16 << 10);
    for (std::size_t size = 16 << 10; size <= 60 << 10; size += 4 << 10) {
        CHECK_EQUAL(pool->reallocate(block, size), block);
        CHECK_EQUAL(pool->usable_size(block), size);
        const auto figures = pool->class_figures();
        CHECK_EQUAL(figures.spans.blocks, 1U);
        CHECK_EQUAL(figures.total.requested, size);
        CHECK_EQUAL(figures.total.in_use, span);
        pool->check();
    }
    CHECK(std::all_of(block, block + (4 << 10), [](std::byte b) { return b == std::byte{7}; }));
    // A block that shrinks gets a size class again: a span would be too large for it.
    block = pool->reallocate(block, 20 << 10);
    CHECK_EQUAL(pool->class_figures().spans.blocks, 0U);
    CHECK(std::all_of(block, block + (4 << 10), [](std::byte b) { return b == std::byte{7}; }));
    CHECK(pool->try_release(block, 20 << 10));
    CHECK_EQUAL(pool->class_figures().total.blocks, 0U);
    pool->check();
}

TEST("a shrinking block stays while more than half of it is needed") {
    const auto pool = SharedSlabPool::create();
    auto* const block = pool->acquire(4096);
    CHECK(pool->try_reallocate(block, 2049) == block);
    CHECK(pool->try_reallocate(block, 2048) != block);
}

TEST("classes can be chosen") {
    SharedSlabPoolOptions options;
    options.classes = {48, 4160};
    const auto pool = SharedSlabPool::create(options);
    CHECK_EQUAL(pool->usable_size(pool->acquire(1)), 48U);
    CHECK_EQUAL(pool->usable_size(pool->acquire(49)), 4160U);
    CHECK_EQUAL(pool->usable_size(pool->acquire(4161)), 5120U);
    options.classes = {0};
    CHECK_THROWS(BadArgument, "a size class of 0 bytes", SharedSlabPool::create(options));
}

TEST("check finds a block that was released twice") {
    const auto pool = SharedSlabPool::create();
    std::byte* const block = pool->acquire(64);
    pool->try_release(block, 64);
    pool->try_release(block, 64);
    CHECK_THROWS(Corrupted, "is in magazines twice: someone released it twice", pool->check());
    pool->trim();
    CHECK_THROWS(Corrupted, "someone released twice", pool->check());
}
