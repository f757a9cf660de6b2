#include "threads/lifecycle/pool_pages.hpp"

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "testing.hpp"
#include "threads/arena/shared_arena.hpp"
#include "threads/fixed/shared_fixed_pool.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

PoolHandle<SharedSlabPool> slabs(std::size_t limit) {
    SharedSlabPoolOptions options;
    options.name = "slabs";
    options.spans.limit = limit;
    return SharedSlabPool::create(options);
}

}  // namespace

TEST("pages of a pool are its blocks, aligned and zero, and count as in use there") {
    const auto pool = slabs(64 << 20);
    {
        for (const std::size_t align : {64U, 4096U, 65536U, 2U << 20}) {
            PoolPages pages{*pool, align};
            for (const std::size_t bytes : {100U, 65536U, 1U << 20}) {
                const pages::Extent extent = pages.map(bytes, align);
                CHECK(extent.bytes >= bytes);
                CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(extent.start) % align, 0U);
                CHECK(std::all_of(extent.start, extent.end(),
                                  [](std::byte b) { return b == std::byte{0}; }));
                std::memset(extent.start, 0xff, extent.bytes);
                CHECK_EQUAL(pool->figures().blocks, 1U);
                CHECK_EQUAL(pool->drawing_pools(), 1U);
                pages.unmap(extent);
                CHECK_EQUAL(pool->drawing_pools(), 0U);
            }
        }
        PoolPages pages{*pool};
        CHECK(!pages.map(128 << 20, 64));
        CHECK(!pages.map(~std::size_t{0}, 64));
        CHECK(!pages.map(1 << 20, 4096));
    }
    CHECK_EQUAL(pool->figures().blocks, 0U);
    pool->check();
}

TEST("only large blocks are requested, for any size of a page") {
    for (const std::size_t page : {4096U, 16384U, 65536U}) {
        for (const std::size_t bytes : {std::size_t{1}, SizeClasses::largest, 3 * page}) {
            const std::size_t block = PoolPages::block_bytes(bytes, page);
            CHECK(block >= bytes);
            CHECK(block > SizeClasses::largest);
            CHECK_EQUAL((block + page) % pages::granule, 0U);
        }
    }
}

TEST("an extent grows with its contents") {
    const auto pool = slabs(64 << 20);
    PoolPages pages{*pool};
    pages::Extent extent = pages.map_any(100000, 64);
    std::memset(extent.start, 7, extent.bytes);
    const std::size_t before = extent.bytes;
    extent = pages.grow_any(extent, 1 << 20);
    CHECK(extent.bytes >= std::size_t{1} << 20);
    for (std::size_t i = 0; i < before; ++i) CHECK(extent.start[i] == std::byte{7});
    CHECK(!pages.grow_any(extent, 128 << 20));
    pages.unmap(extent);
}

TEST("budgets nest: a refusal names the source, and nothing is lost") {
    const auto pool = slabs(1 << 20);
    const auto arena = SharedArena::create({}, draw_on(*pool));
    std::vector<SharedArena::Idle> blocks;
    CHECK_THROWS(Exhausted, "taken so far; its source SlabPool 'slabs' has ", [&] {
        for (;;) blocks.push_back(arena->acquire(10240));
    }());
    CHECK(blocks.size() > 50);
    for (const auto& block : blocks) arena->drop(block.start, block.ticket);
    arena->check();
    CHECK_EQUAL(pool->figures().blocks, 1U);
    arena->close();
    CHECK_EQUAL(pool->figures().blocks, 0U);
    pool->close();
    CHECK_THROWS(Exhausted, "its source SlabPool 'slabs' is closed",
                 SharedArena::create({}, draw_on(*pool))->acquire(1));
}

TEST("a pool that draws on another holds it, and gives everything back when it ends") {
    SharedArena* arena = nullptr;
    std::byte* block = nullptr;
    {
        const auto pool = slabs(64 << 20);
        const auto handle = SharedArena::create({}, draw_on(*pool));
        arena = handle.get();
        block = arena->try_acquire(1000);
    }
    std::memset(block, 1, 1000);
    arena->release(block);
}

TEST("a fixed pool sits on a slab pool, grows there, and is no source itself") {
    SharedFixedPoolOptions options;
    options.block_size = 128 << 10;
    options.blocks = 4;
    options.max_blocks = 8;
    options.align = 4096;
    const auto slab_pool = slabs(16 << 20);
    const auto fixed = SharedFixedPool::create(options, draw_on(*slab_pool, 4096));
    CHECK_EQUAL(slab_pool->figures().blocks, 1U);
    std::vector<std::byte*> blocks;
    for (int i = 0; i < 8; ++i) blocks.push_back(fixed->try_acquire().start);
    CHECK_EQUAL(slab_pool->figures().blocks, 2U);
    CHECK_EQUAL(slab_pool->drawing_pools(), 1U);
    for (std::byte* const block : blocks) {
        CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(block) % 4096, 0U);
        CHECK(slab_pool->owns(block));
        std::memset(block, 1, 128 << 10);
        fixed->release(block);
    }
    fixed->trim();
    fixed->check();
    CHECK_EQUAL(slab_pool->figures().blocks, 1U);
    CHECK_THROWS(BadArgument, "FixedPool can't be a source of other pools", draw_on(*fixed));
    fixed->close();
    CHECK_EQUAL(slab_pool->figures().blocks, 0U);
}

TEST("threads use pools that draw on one pool") {
    const auto pool = slabs(256 << 20);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 300; ++round) {
                const auto arena = SharedArena::create({}, draw_on(*pool));
                for (std::size_t at = 0; at < 100; ++at) {
                    const auto idle = arena->acquire(at * 50);
                    arena->drop(idle.start, idle.ticket);
                }
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_EQUAL(pool->figures().blocks, 0U);
    CHECK_EQUAL(pool->drawing_pools(), 0U);
    pool->check();
}
