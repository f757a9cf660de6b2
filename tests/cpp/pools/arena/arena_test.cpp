#include "pools/arena/arena.hpp"

#include <array>
#include <cstring>
#include <vector>

#include "base/error.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"

using namespace numpool;
using pools::Arena;

namespace {

constexpr std::size_t chunk = 64 << 10;

bool is_zero(const std::byte* block, std::size_t bytes) {
    return std::all_of(block, block + bytes, [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

TEST("an arena maps no memory before its first block") {
    pages::FakePages pages;
    Arena arena{chunk, pages};
    CHECK_EQUAL(pages.maps, 0U);
    CHECK(arena.acquire(100) != nullptr);
    CHECK_EQUAL(pages.maps, 1U);
    CHECK_EQUAL(arena.mapped(), chunk);
    arena.check();
}

TEST("small blocks lie one behind the other, aligned, and large ones have their own extents") {
    pages::FakePages pages;
    Arena arena{chunk, pages};
    std::byte* const first = arena.acquire(40);
    std::byte* const second = arena.acquire(40);
    CHECK_EQUAL(second - first, 48 + 16);
    for (const std::size_t bytes : {0, 1, 17, 1023}) {
        CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(arena.acquire(bytes)) % 16, 0U);
    }
    CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(arena.acquire(1024)) % 64, 0U);
    CHECK_EQUAL(pages.maps, 1U);
    CHECK(arena.acquire(chunk / 4) != nullptr);
    CHECK_EQUAL(pages.maps, 1U);
    std::byte* const large = arena.acquire(chunk / 4 + 1);
    CHECK_EQUAL(pages.maps, 2U);
    CHECK(arena.owns(large));
    arena.end_use(large);
    CHECK_EQUAL(pages.unmaps, 1U);
    CHECK(!arena.owns(large));
    arena.check();
}

TEST("chunks double, so a large region has few of them, and they go back with their blocks") {
    pages::FakePages pages;
    Arena arena{chunk, pages};
    std::vector<std::byte*> blocks;
    for (int i = 0; i < 100000; ++i) blocks.push_back(arena.acquire(100));
    CHECK(pages.maps < 12);
    CHECK_EQUAL(arena.growths(), pages.maps);
    CHECK_EQUAL(arena.tally().blocks, 100000U);
    CHECK_EQUAL(arena.tally().requested, 10000000U);
    for (std::byte* const block : blocks) arena.end_use(block);
    CHECK_EQUAL(pages.maps - pages.unmaps, 1U);
    CHECK_EQUAL(arena.mapped(), chunk);
    arena.check();
    CHECK(arena.trim() == chunk);
    CHECK_EQUAL(pages.mapped, 0U);
    arena.check();
}

TEST("the room of blocks that die newest first is reused at once") {
    Arena arena{chunk};
    std::byte* const kept = arena.acquire(64);
    std::byte* const first = arena.acquire(64);
    std::byte* const second = arena.acquire(64);
    arena.end_use(first);
    arena.check();
    CHECK(arena.acquire(64) > second);
    arena.end_use(second);
    std::byte* const top = arena.acquire(64);
    CHECK(top > second);
    arena.end_use(top);
    arena.check();
    arena.end_use(kept);
    arena.check();
}

TEST("when the last block dies, the arena starts again at its beginning") {
    pages::FakePages pages;
    Arena arena{chunk, pages};
    std::byte* const first = arena.acquire(100);
    std::byte* previous = first;
    for (int i = 0; i < 5000; ++i) {
        std::byte* const next = arena.acquire(100);
        arena.end_use(previous);
        previous = next;
    }
    // Chunks whose blocks are all dead went back.
    CHECK(pages.maps - pages.unmaps <= 3);
    arena.end_use(previous);
    CHECK_EQUAL(pages.maps - pages.unmaps, 1U);
    CHECK_EQUAL(arena.acquire(100), first);
    arena.check();
}

TEST("a ticket ends with a reset, and has no effect afterwards") {
    Arena arena{chunk};
    const Arena::Idle idle = arena.acquire_idle(100);
    CHECK(arena.is_current(idle.ticket));
    CHECK_EQUAL(arena.uses_since(arena.beginning()), 0U);
    CHECK(arena.begin_use(idle.start, idle.ticket));
    CHECK(arena.begin_use(idle.start, idle.ticket));
    CHECK_EQUAL(arena.uses_of(idle.start, idle.ticket), 2U);
    CHECK_EQUAL(arena.uses_since(arena.beginning()), 2U);
    arena.end_use(idle.start);
    arena.end_use(idle.start);
    CHECK_EQUAL(arena.tally().blocks, 1U);
    arena.reset();
    CHECK(!arena.is_current(idle.ticket));
    CHECK(!arena.begin_use(idle.start, idle.ticket));
    CHECK_EQUAL(arena.uses_of(idle.start, idle.ticket), 0U);
    std::byte* const other = arena.acquire(100);
    CHECK_EQUAL(other, idle.start);
    arena.drop(idle.start, idle.ticket);
    CHECK_EQUAL(arena.tally().blocks, 1U);
    arena.check();
}

TEST("a block whose ticket was dropped stays until its last use ends") {
    Arena arena{chunk};
    const Arena::Idle idle = arena.acquire_idle(100);
    arena.begin_use(idle.start, idle.ticket);
    arena.drop(idle.start, idle.ticket);
    CHECK_EQUAL(arena.tally().blocks, 1U);
    arena.end_use(idle.start);
    CHECK_EQUAL(arena.tally().blocks, 0U);
    arena.check();
}

TEST("a rewind ends the blocks since the mark, again and again") {
    Arena arena{chunk};
    std::byte* const before = arena.acquire(100);
    std::memset(before, 7, 100);
    const Arena::Mark mark = arena.mark();
    std::byte* first = nullptr;
    for (int round = 0; round < 5; ++round) {
        for (int i = 0; i < 2000; ++i) {
            const Arena::Idle idle = arena.acquire_idle(i % 50 == 0 ? 40000 : 100);
            if (i == 0 && first == nullptr) first = idle.start;
            std::memset(idle.start, 1, 100);
        }
        CHECK(arena.knows(mark));
        arena.rewind(mark);
        arena.check();
        CHECK_EQUAL(arena.tally().blocks, 1U);
    }
    for (int i = 0; i < 100; ++i) CHECK(before[i] == std::byte{7});
}

TEST("a rewind to an older mark, or a reset, forgets a mark") {
    Arena arena{chunk};
    const Arena::Idle oldest = arena.acquire_idle(10);
    const Arena::Mark outer = arena.mark();
    const Arena::Idle middle = arena.acquire_idle(10);
    const Arena::Mark inner = arena.mark();
    const Arena::Idle newest = arena.acquire_idle(10);
    arena.rewind(inner);
    CHECK(arena.knows(inner));
    CHECK(!arena.is_current(newest.ticket));
    CHECK(arena.is_current(middle.ticket));
    arena.rewind(outer);
    CHECK(!arena.knows(inner));
    CHECK(arena.knows(outer));
    CHECK(!arena.is_current(middle.ticket));
    CHECK(arena.is_current(oldest.ticket));
    arena.acquire_idle(10);
    arena.mark();
    CHECK(!arena.knows(inner));
    arena.reset();
    CHECK(!arena.knows(outer));
    CHECK(!arena.is_current(oldest.ticket));
    arena.check();
}

TEST("blocks before a mark may die and change their sizes, and the mark's place stays") {
    Arena arena{chunk};
    std::byte* const kept = arena.acquire(16);
    std::byte* const older = arena.acquire(100);
    const Arena::Mark mark = arena.mark();
    // It is on top but before the mark, so it must move to grow.
    std::byte* const grown = arena.reallocate(older, 300);
    CHECK(grown != older);
    arena.check();
    arena.end_use(grown);
    const Arena::Idle newer = arena.acquire_idle(100);
    CHECK(newer.start > older);
    arena.rewind(mark);
    arena.check();
    CHECK(arena.acquire_idle(100).start == newer.start);
    arena.end_use(kept);
    arena.check();
    arena.reset();
    arena.check();
}

TEST("the newest block grows and shrinks in place; others move with their contents") {
    Arena arena{chunk};
    std::byte* block = arena.acquire(100);
    std::memset(block, 5, 100);
    CHECK_EQUAL(arena.reallocate(block, 5000), block);
    CHECK_EQUAL(arena.size_of(block), 5000U);
    CHECK_EQUAL(arena.reallocate(block, 200), block);
    std::byte* const other = arena.acquire(8);
    std::byte* const moved = arena.reallocate(block, 500);
    CHECK(moved > other);
    for (int i = 0; i < 100; ++i) CHECK(moved[i] == std::byte{5});
    std::byte* const large = arena.reallocate(moved, 1 << 20);
    for (int i = 0; i < 100; ++i) CHECK(large[i] == std::byte{5});
    std::byte* const larger = arena.reallocate(large, 4 << 20);
    CHECK(larger != nullptr);
    CHECK_EQUAL(arena.size_of(larger), std::size_t{4 << 20});
    for (int i = 0; i < 100; ++i) CHECK(larger[i] == std::byte{5});
    arena.check();
    std::byte* const small = arena.reallocate(larger, 50);
    for (int i = 0; i < 50; ++i) CHECK(small[i] == std::byte{5});
    arena.check();
    arena.end_use(small);
    arena.end_use(other);
    CHECK_EQUAL(arena.tally().blocks, 0U);
}

TEST("zeroed blocks are zero where other blocks were before") {
    Arena arena{chunk};
    for (const std::size_t bytes : {1, 100, 5000, 100000}) {
        std::byte* const dirty = arena.acquire(bytes);
        std::memset(dirty, 0xff, bytes);
        arena.end_use(dirty);
        std::byte* const block = arena.acquire_zeroed(bytes);
        CHECK(is_zero(block, bytes));
        arena.end_use(block);
    }
}

TEST("the blocks in use since a mark are counted, and the oldest are listed") {
    Arena arena{chunk};
    arena.acquire(1);
    const Arena::Mark mark = arena.mark();
    std::vector<std::byte*> blocks;
    for (std::size_t i = 0; i < 10; ++i) {
        blocks.push_back(arena.acquire(i == 9 ? 100000 : 100 + i));
        arena.acquire_idle(50);
    }
    std::array<Arena::Used, 4> room;
    std::span<Arena::Used> first{room};
    CHECK_EQUAL(arena.used_since(mark, first), 10U);
    CHECK_EQUAL(first.size(), 4U);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK_EQUAL(first[i].start, blocks[i]);
        CHECK_EQUAL(first[i].bytes, 100 + i);
    }
    for (std::size_t i = 1; i < 10; ++i) arena.end_use(blocks[i]);
    first = room;
    CHECK_EQUAL(arena.used_since(mark, first), 1U);
    CHECK_EQUAL(first.size(), 1U);
    CHECK_EQUAL(first[0].start, blocks[0]);
    CHECK_EQUAL(arena.uses_since(mark), 1U);
    CHECK_EQUAL(arena.uses_since(arena.beginning()), 2U);
}

TEST("refused memory changes nothing") {
    pages::FakePages pages;
    Arena arena{chunk, pages};
    pages.fail_after(0);
    CHECK(arena.acquire(10) == nullptr);
    CHECK(arena.acquire_idle(10).start == nullptr);
    CHECK(arena.acquire_zeroed(1 << 20) == nullptr);
    arena.check();
    pages.stop_failing();
    std::byte* const block = arena.acquire(1 << 20);
    std::memset(block, 3, 1 << 20);
    pages.fail_after(0);
    CHECK(arena.reallocate(block, 2 << 20) == nullptr);
    CHECK(arena.reallocate(block, std::size_t{1} << 60) == nullptr);
    CHECK(block[(1 << 20) - 1] == std::byte{3});
    arena.check();
    CHECK(arena.acquire(~std::size_t{0}) == nullptr);
}

TEST("if a doubled chunk is refused, an ordinary one serves") {
    pages::FakePages pages;
    Arena arena{chunk, pages};
    while (pages.maps < 3) arena.acquire(1000);
    const std::size_t before = arena.mapped();
    while (arena.mapped() == before) {
        // The next call of the page source fails once.
        pages.fail_after(0, 1);
        arena.acquire(1000);
    }
    CHECK_EQUAL(arena.mapped() - before, chunk);
    arena.check();
}

TEST("the error for an invalid chunk size names it") {
    CHECK_THROWS(BadArgument, "chunk_size is 0: an arena needs at least a byte", Arena{0});
    CHECK_THROWS(BadArgument, "chunk_size is 2147483648: at most 1 GiB make sense",
                 Arena{std::size_t{2} << 30});
}
