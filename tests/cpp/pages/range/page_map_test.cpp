#include "pages/range/page_map.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/error.hpp"
#include "pages/range/address_range.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pages;

namespace {

struct Fixture {
    PageMap map;
    AddressRange range{map, std::size_t{1} << 30};
};

}  // namespace

TEST("before a range is reserved everything is foreign") {
    const PageMap map;
    int local = 0;
    CHECK_EQUAL(map.tag(&local), 0U);
    CHECK(map.note(&local) == nullptr);
    CHECK_EQUAL(map.tag(nullptr), 0U);
}

TEST("a tag holds for every address of its granules and for no other") {
    Fixture fixture;
    int note = 0;
    const Tag number = fixture.map.register_pool();
    const Extent extent = fixture.range.allocate(4 * granule, granule);
    const Extent tagged{extent.start + granule, 2 * granule};
    fixture.map.set(tagged, number + 7, &note);
    for (std::byte* at = tagged.start; at < tagged.end(); at += 4095) {
        CHECK_EQUAL(fixture.map.tag(at), number + 7);
        CHECK(kind_of(fixture.map.tag(at)) == Kind{7});
        CHECK(fixture.map.note(at) == &note);
    }
    CHECK_EQUAL(fixture.map.tag(tagged.start - 1), 0U);
    CHECK_EQUAL(fixture.map.tag(tagged.end()), 0U);
    fixture.map.set(tagged, 0, nullptr);
    CHECK_EQUAL(fixture.map.tag(tagged.start), 0U);
}

TEST("the tag of a large extent is set and cleared up to its ends and no further") {
    Fixture fixture;
    int note = 0;
    const Extent extent = fixture.range.allocate(400 * granule, granule);
    const Extent tagged{extent.start + 3 * granule, 390 * granule};
    const auto holds = [&](Tag tag, const void* noted) {
        for (std::byte* at = extent.start; at < extent.end(); at += granule) {
            const bool inside = at >= tagged.start && at < tagged.end();
            if (fixture.map.tag(at) != (inside ? tag : 0U)) return false;
            if (fixture.map.note(at) != (inside ? noted : nullptr)) return false;
        }
        return true;
    };
    fixture.map.set(tagged, 0x10007, &note);
    CHECK(holds(0x10007, &note));
    fixture.map.set(tagged, 0, nullptr);
    CHECK(holds(0, nullptr));
}

namespace {

/// Whether the kernel can read there on our behalf.
bool can_be_read(const std::byte* address) {
    int ends[2];
    if (pipe(ends) != 0) return true;
    const bool refused = write(ends[1], address, 1) < 0 && errno == EFAULT;
    close(ends[0]);
    close(ends[1]);
    return !refused;
}

}  // namespace

TEST("a whole range has tags to its end, and what is next to it is inaccessible") {
    Fixture fixture;
    const Extent range = fixture.range.extent();
    const Extent all = fixture.range.allocate(range.bytes, granule);
    CHECK(all.start == range.start && all.bytes == range.bytes);
    int note = 0;
    fixture.map.set(all, 0x10007, &note);
    CHECK_EQUAL(fixture.map.tag(all.start), 0x10007U);
    CHECK_EQUAL(fixture.map.tag(all.end() - 1), 0x10007U);
    CHECK(fixture.map.note(all.end() - 1) == &note);
    CHECK_EQUAL(fixture.map.tag(all.start - 1), 0U);
    CHECK_EQUAL(fixture.map.tag(all.end()), 0U);
    fixture.map.set(all, 0, nullptr);
    CHECK(!can_be_read(range.start - 1));
    CHECK(!can_be_read(range.start - granule));
}

TEST("the map covers what is allocated, also where that ends with a step of covering") {
    constexpr std::size_t step = std::size_t{4} << 30;
    PageMap map;
    AddressRange range{map, 2 * step};
    int note = 0;
    const Extent extent = range.allocate(step, granule);
    map.set({extent.end() - granule, granule}, 0x10007, &note);
    CHECK_EQUAL(map.tag(extent.end() - 1), 0x10007U);
    CHECK(map.note(extent.end() - 1) == &note);
    map.set({extent.end() - granule, granule}, 0, nullptr);
}

TEST("the front of a range has room for all tags, its own too, and one granule more") {
    for (std::size_t bytes = AddressRange::least; bytes <= std::size_t{1} << 46; bytes *= 2) {
        const std::size_t front = PageMap::front(bytes);
        const std::size_t tags = ((front + bytes) / granule + 1) * sizeof(Tag);
        CHECK(tags + granule <= front);
        CHECK_EQUAL(front % huge_page, 0U);
    }
}

TEST("foreign addresses have no tag, wherever they are") {
    Fixture fixture;
    const Extent range = fixture.range.extent();
    int local = 0;
    static int global = 0;
    void* const heap = std::malloc(100);
    const void* const foreign[] = {&local,
                                   &global,
                                   heap,
                                   nullptr,
                                   range.start - 1,
                                   range.end(),
                                   range.end() + (1LL << 40),
                                   reinterpret_cast<void*>(~std::uintptr_t{0})};
    for (const void* address : foreign) CHECK_EQUAL(fixture.map.tag(address), 0U);
    std::free(heap);
}

TEST("one subtraction tells a pool's tags from those of all others") {
    Fixture fixture;
    const Tag mine = fixture.map.register_pool();
    const Tag theirs = fixture.map.register_pool();
    CHECK(mine != 0U && theirs != 0U && mine != theirs);
    CHECK(kind_for(mine + Kind{3}, mine) == Kind{3});
    CHECK(kind_for(theirs + Kind{3}, mine) > largest_kind);
    CHECK(kind_for(0, mine) > largest_kind);
}

TEST("a pool's number is reused as late as possible, and too many pools are refused") {
    Fixture fixture;
    const Tag first = fixture.map.register_pool();
    fixture.map.unregister_pool(first);
    CHECK(fixture.map.register_pool() != first);
    for (int i = 0; i < 65534; ++i) fixture.map.register_pool();
    CHECK_THROWS(Exhausted, "there are 65535 slab pools already; close some before you make more",
                 fixture.map.register_pool());
    fixture.map.unregister_pool(first);
    CHECK_EQUAL(fixture.map.register_pool(), first);
}
