/// Spare chunks: those whose blocks a reset or a rewind ended.

#include <cstring>
#include <vector>

#include "pages/source/fake_pages.hpp"
#include "pools/arena/arena.hpp"
#include "testing.hpp"

using namespace numpool;
using pools::Arena;

namespace {

constexpr std::size_t chunk = 64 << 10;

/// Acquires `count` blocks of 64 bytes and writes each of them.
std::vector<std::byte*> fill(Arena& arena, std::size_t count) {
    std::vector<std::byte*> blocks;
    for (std::size_t i = 0; i < count; ++i) {
        blocks.push_back(arena.acquire_idle(64).start);
        std::memset(blocks.back(), static_cast<int>(i), 64);
    }
    return blocks;
}

}  // namespace

TEST("a reset of a million blocks makes no system call, and the next million reuses the chunks") {
    pages::FakePages pages;
    Arena arena{chunk, pages};
    const std::vector<std::byte*> blocks = fill(arena, 1000000);
    const std::size_t maps = pages.maps;
    CHECK(maps > 3);
    for (int round = 0; round < 3; ++round) {
        arena.reset();
        CHECK_EQUAL(arena.tally().blocks, 0U);
        CHECK_EQUAL(arena.mapped(), pages.mapped);
        arena.check();
        CHECK(fill(arena, 1000000) == blocks);
        arena.check();
    }
    CHECK_EQUAL(pages.maps, maps);
    CHECK_EQUAL(pages.unmaps, 0U);
    CHECK_EQUAL(arena.growths(), maps);
}

TEST("a reset unmaps large blocks, and a rewind those that are newer than the mark") {
    pages::FakePages pages;
    Arena arena{chunk, pages};
    fill(arena, 1);
    std::byte* const older = arena.acquire_idle(1 << 20).start;
    const Arena::Mark mark = arena.mark();
    std::byte* const newer = arena.acquire_idle(1 << 20).start;
    arena.rewind(mark);
    CHECK(arena.owns(older));
    CHECK(!arena.owns(newer));
    CHECK_EQUAL(pages.unmaps, 1U);
    arena.reset();
    CHECK(!arena.owns(older));
    CHECK_EQUAL(pages.mapped, chunk);
}

TEST("the arena does not own addresses in spare chunks") {
    Arena arena{chunk};
    const std::vector<std::byte*> blocks = fill(arena, 5000);
    CHECK(arena.owns(blocks.back()));
    arena.reset();
    CHECK(!arena.owns(blocks.back()));
    CHECK_EQUAL(arena.size_of(blocks.back()), 0U);
    CHECK_EQUAL(arena.usable_size(blocks.back()), 0U);
    CHECK(fill(arena, 5000) == blocks);
    CHECK_EQUAL(arena.size_of(blocks.back()), 64U);
}

TEST("spare chunks that a whole cycle did not reach go back at its end") {
    pages::FakePages pages;
    Arena arena{chunk, pages};
    fill(arena, 3000);
    const std::size_t usual = arena.mapped();
    arena.reset();
    fill(arena, 100000);
    const std::size_t spike = arena.mapped();
    CHECK(spike > 2 * usual);
    arena.reset();
    CHECK_EQUAL(arena.mapped(), spike);
    fill(arena, 3000);
    CHECK_EQUAL(arena.mapped(), spike);
    arena.reset();
    CHECK_EQUAL(arena.mapped(), usual);
    arena.check();
    arena.reset();
    CHECK_EQUAL(arena.mapped(), chunk);
    CHECK_EQUAL(pages.mapped, chunk);
    arena.check();
}

TEST("each mark has its own cycles, and their reach counts for older marks, too") {
    pages::FakePages pages;
    Arena arena{chunk, pages};
    arena.reset();
    fill(arena, 10);
    const Arena::Mark outer = arena.mark();
    arena.rewind(outer);
    fill(arena, 3000);
    const std::size_t usual = arena.mapped();
    const Arena::Mark inner = arena.mark();
    fill(arena, 100000);
    const std::size_t spike = arena.mapped();
    arena.rewind(inner);
    CHECK_EQUAL(arena.mapped(), spike);
    arena.rewind(inner);
    CHECK_EQUAL(arena.mapped(), usual);
    fill(arena, 50000);
    const std::size_t reached = arena.mapped();
    CHECK(reached > usual);
    arena.rewind(inner);
    CHECK_EQUAL(arena.mapped(), reached);
    arena.rewind(outer);
    CHECK_EQUAL(arena.mapped(), reached);
    arena.reset();
    CHECK_EQUAL(arena.mapped(), reached);
    arena.reset();
    CHECK_EQUAL(arena.mapped(), chunk);
    arena.check();
}

TEST("a new mark in each cycle does not unmap the cycle's spare chunks") {
    pages::FakePages pages;
    Arena arena{chunk, pages};
    fill(arena, 50000);
    const std::size_t maps = pages.maps;
    for (int cycle = 0; cycle < 3; ++cycle) {
        arena.reset();
        for (int part = 0; part < 10; ++part) {
            fill(arena, 10);
            const Arena::Mark mark = arena.mark();
            fill(arena, 10);
            arena.rewind(mark);
        }
        fill(arena, 50000 - 100);
    }
    CHECK_EQUAL(pages.maps, maps);
}

TEST("a trim unmaps spare chunks, and the first chunk if there is no live block and no mark") {
    pages::FakePages pages;
    Arena arena{chunk, pages};
    fill(arena, 10);
    const Arena::Mark mark = arena.mark();
    fill(arena, 50000);
    CHECK_EQUAL(arena.trim(), 0U);
    arena.rewind(mark);
    const std::size_t spare = arena.mapped() - chunk;
    CHECK(spare > 0);
    CHECK_EQUAL(arena.trim(), spare);
    CHECK_EQUAL(pages.mapped, chunk);
    arena.check();
    fill(arena, 5000);
    arena.reset();
    const std::size_t all = pages.mapped;
    CHECK(all > chunk);
    CHECK_EQUAL(arena.trim(), all);
    CHECK_EQUAL(pages.mapped, 0U);
    arena.check();
    CHECK_EQUAL(fill(arena, 5000).size(), 5000U);
    arena.check();
}

TEST("spare chunks go back before a large request is refused, but not earlier") {
    pages::FakePages pages;
    pages.limit = 4 << 20;
    Arena arena{chunk, pages};
    while (arena.mapped() < (2 << 20)) fill(arena, 100);
    arena.reset();
    const std::size_t kept = arena.mapped();
    CHECK(arena.acquire_idle(1 << 20).start != nullptr);
    CHECK_EQUAL(arena.mapped(), kept + (1 << 20));
    CHECK(arena.acquire_zeroed((2 << 20) + chunk) != nullptr);
    CHECK_EQUAL(arena.mapped(), (3 << 20) + 2 * chunk);
    CHECK(arena.acquire(2 << 20) == nullptr);
    arena.check();
}

TEST("a large block that cannot move grows after spare chunks went back") {
    pages::FakePages pages;
    pages.limit = 4 << 20;
    Arena arena{chunk, pages};
    const Arena::Mark mark = (arena.acquire(1), arena.mark());
    while (arena.mapped() < (2 << 20)) fill(arena, 100);
    arena.rewind(mark);
    std::byte* const block = arena.acquire(1 << 20);
    std::memset(block, 7, 1 << 20);
    // The limit has no room for a copy of this size, even without the spare chunks.
    std::byte* const grown = arena.reallocate(block, 7 << 19);
    CHECK(grown != nullptr);
    CHECK(grown[(1 << 20) - 1] == std::byte{7});
    CHECK_EQUAL(arena.mapped(), (7 << 19) + chunk);
    arena.check();
    CHECK(arena.reallocate(grown, 5 << 20) == nullptr);
    arena.check();
}

TEST("chunks that die early go back, and the spare ones stay") {
    pages::FakePages pages;
    Arena arena{chunk, pages};
    fill(arena, 20000);
    arena.reset();
    const std::size_t extents = pages.maps;
    std::vector<std::byte*> blocks;
    while (pages.unmaps == 0) {
        std::byte* const first = arena.acquire(100);
        blocks.push_back(first);
        if (blocks.size() < 2000) continue;
        for (std::byte* const block : blocks) arena.end_use(block);
        blocks.clear();
    }
    CHECK_EQUAL(arena.tally().blocks, 0U);
    CHECK_EQUAL(pages.maps, extents);
    CHECK(pages.unmaps < extents - 1);
    arena.check();
    fill(arena, 20000);
    arena.check();
}
