#include "pools/handle/handle_table.hpp"

#include <cstring>
#include <set>
#include <vector>

#include "base/error.hpp"
#include "base/size.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;
using numpool::pages::FakePages;

namespace {

constexpr Handle number = 5;
constexpr Handle lowest = number * handle_versions;

}  // namespace

TEST("creating a table of millions of blocks touches no page") {
    FakePages pages;
    const HandleTable table{64, handle_blocks, lowest, pages};
    CHECK_EQUAL(pages.maps, 1U);
    CHECK_EQUAL(table.warm_blocks(), 0U);
    CHECK_EQUAL(table.mapped(), pages.mapped);
}

TEST("a handle finds its block until it is freed, and never again") {
    FakePages pages;
    HandleTable table{64, 2, lowest, pages};
    const Handle first = table.acquire(10);
    CHECK_EQUAL(number_of(first), number);
    CHECK(first >= lowest);
    const auto block = table.find(first);
    CHECK_EQUAL(block.bytes, 10U);
    CHECK(table.owns(block.start));
    CHECK(table.free(first));
    CHECK(!table.find(first));
    CHECK(!table.free(first));
    const Handle second = table.acquire(20);
    CHECK(table.find(second).start == block.start);
    CHECK(second > first);
    CHECK(!table.find(first));
    CHECK(table.issued(first));
    CHECK(!table.issued(second + 1));
    table.check();
}

TEST("the next handle of a free block finds nothing before it is issued") {
    FakePages pages;
    HandleTable table{64, 1, lowest, pages};
    const Handle first = table.acquire(1);
    table.free(first);
    const Handle second = table.acquire(1);
    table.free(second);
    const Handle guess = second + (second - first);
    CHECK(!table.find(guess));
    CHECK(!table.issued(guess));
    CHECK_EQUAL(table.acquire(1), guess);
}

TEST("a held block stays until the last hold ends") {
    FakePages pages;
    HandleTable table{100, 3, lowest, pages};
    table.acquire(1);
    const Handle handle = table.acquire(7);
    const auto block = table.hold(handle);
    CHECK(table.hold(handle).start == block.start);
    CHECK_EQUAL(table.holds(handle), 2U);
    CHECK(!table.free(handle));
    table.unhold(block.start);
    CHECK(!table.free(handle));
    table.unhold(block.start);
    CHECK(table.free(handle));
    CHECK(!table.hold(handle));
    table.check();
}

TEST("a block whose versions are used up retires, and no handle is issued twice") {
    FakePages pages;
    // Two blocks, of which each has three versions left.
    const Handle first = lowest + handle_versions - 2 * 3;
    HandleTable table{64, 2, first, pages};
    std::set<Handle> given;
    for (int i = 0; i < 6; ++i) {
        const Handle handle = table.acquire(1);
        CHECK_EQUAL(number_of(handle), number);
        CHECK(given.insert(handle).second);
        CHECK(table.free(handle));
        table.check();
    }
    CHECK_EQUAL(table.acquire(1), 0);
    CHECK_EQUAL(table.retired(), 2U);
    CHECK_EQUAL(table.blocks(), 0U);
    for (const Handle handle : given) CHECK(!table.find(handle));
}

TEST("a handle that was kept through a million reuses of its block is stale") {
    FakePages pages;
    HandleTable table{64, 1, lowest, pages};
    const Handle kept = table.acquire(1);
    table.free(kept);
    for (int i = 0; i < (1 << 20); ++i) {
        const Handle handle = table.acquire(1);
        CHECK(!table.find(kept) && handle != kept);
        table.free(handle);
    }
    table.check();
}

TEST("the next table with a number issues none of the handles of the last one") {
    FakePages pages;
    std::set<Handle> given;
    Handle first = lowest;
    for (const std::size_t blocks : {1000U, 1U, 7U, 64U}) {
        HandleTable table{8, blocks, first, pages};
        for (int round = 0; round < 3; ++round) {
            std::vector<Handle> live;
            while (const Handle handle = table.acquire(1)) live.push_back(handle);
            CHECK_EQUAL(live.size(), blocks);
            for (const Handle handle : live) {
                CHECK(given.insert(handle).second);
                CHECK(handle >= first && handle < table.beyond());
                table.free(handle);
            }
        }
        first = table.beyond();
    }
    const HandleTable unused{8, 3, first, pages};
    CHECK_EQUAL(unused.beyond(), first);
}

TEST("a trim purges the pages without live blocks, once") {
    FakePages pages;
    HandleTable table{4096, 8, lowest, pages};
    std::vector<Handle> handles;
    for (int i = 0; i < 6; ++i) {
        handles.push_back(table.acquire(4096));
        std::memset(table.find(handles.back()).start, 1, 4096);
    }
    CHECK_EQUAL(table.trim(), 0U);
    for (const int i : {0, 1, 3, 5}) table.free(handles[static_cast<std::size_t>(i)]);
    CHECK_EQUAL(table.warm_blocks(), 6U);
    pages.fail_after(0, 1);
    CHECK_EQUAL(table.trim(), 2 * 4096U);  // One of the runs is refused.
    CHECK_EQUAL(table.trim(), 2 * 4096U);
    CHECK_EQUAL(table.trim(), 0U);
    CHECK_EQUAL(table.warm_blocks(), 2U);
    CHECK_EQUAL(pages.purged, 4 * 4096U);
    table.check();
    for (const int i : {2, 4}) {
        const auto kept = table.find(handles[static_cast<std::size_t>(i)]);
        CHECK(kept.start[0] == std::byte{1} && kept.start[4095] == std::byte{1});
    }
    const Handle again = table.acquire(4096);
    CHECK(table.find(again).start[0] == std::byte{0});
    CHECK_EQUAL(table.warm_blocks(), 3U);
    table.check();
}

TEST("the errors of invalid tables tell the reason") {
    FakePages pages;
    CHECK_THROWS(BadArgument, "a size is 0", HandleTable{0, 1, lowest, pages});
    CHECK_THROWS(BadArgument, "more than an address space holds",
                 HandleTable{std::size_t{1} << 50, 1, lowest, pages});
    CHECK_THROWS(BadArgument, "0 blocks of 64 bytes: there can be 1 to 16777216 of a size",
                 HandleTable{64, 0, lowest, pages});
    CHECK_THROWS(BadArgument, "16777217 blocks", HandleTable{64, handle_blocks + 1, lowest, pages});
    CHECK_THROWS(Exhausted, "the system refused memory for 1024 blocks of 128 TiB",
                 HandleTable{max_size, 1024, lowest, pages});
    pages.fail_after(0);
    CHECK_THROWS(Exhausted, "the system refused memory for 2 blocks of 4 KiB",
                 HandleTable{4096, 2, lowest, pages});
    CHECK_EQUAL(pages.mapped, 0U);
}
