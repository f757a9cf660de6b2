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
    CHECK(map.owner(&local) == nullptr);
    CHECK_EQUAL(map.tag(nullptr), 0U);
}

TEST("a mark answers for every address of its granules and for no other") {
    Fixture fixture;
    int note = 0;
    int owner = 0;
    const Tag number = fixture.map.enrol(&owner);
    const Extent extent = fixture.range.take(4 * granule, granule);
    const Extent marked{extent.start + granule, 2 * granule};
    fixture.map.mark(marked, number + 7, &note);
    for (std::byte* at = marked.start; at < marked.end(); at += 4095) {
        CHECK_EQUAL(fixture.map.tag(at), number + 7);
        CHECK(kind_of(fixture.map.tag(at)) == Kind{7});
        CHECK(fixture.map.note(at) == &note);
        CHECK(fixture.map.owner(at) == &owner);
    }
    CHECK_EQUAL(fixture.map.tag(marked.start - 1), 0U);
    CHECK_EQUAL(fixture.map.tag(marked.end()), 0U);
    fixture.map.mark(marked, 0, nullptr);
    CHECK(fixture.map.owner(marked.start) == nullptr);
}

TEST("a large extent is marked to its ends and no further, and so is the end of that") {
    Fixture fixture;
    int note = 0;
    const Extent extent = fixture.range.take(400 * granule, granule);
    const Extent marked{extent.start + 3 * granule, 390 * granule};
    const auto holds = [&](Tag tag, const void* noted) {
        for (std::byte* at = extent.start; at < extent.end(); at += granule) {
            const bool inside = at >= marked.start && at < marked.end();
            if (fixture.map.tag(at) != (inside ? tag : 0U)) return false;
            if (fixture.map.note(at) != (inside ? noted : nullptr)) return false;
        }
        return true;
    };
    fixture.map.mark(marked, 0x10007, &note);
    CHECK(holds(0x10007, &note));
    fixture.map.mark(marked, 0, nullptr);
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
    const Extent all = fixture.range.take(range.bytes, granule);
    CHECK(all.start == range.start && all.bytes == range.bytes);
    int note = 0;
    fixture.map.mark(all, 0x10007, &note);
    CHECK_EQUAL(fixture.map.tag(all.start), 0x10007U);
    CHECK_EQUAL(fixture.map.tag(all.end() - 1), 0x10007U);
    CHECK(fixture.map.note(all.end() - 1) == &note);
    CHECK_EQUAL(fixture.map.tag(all.start - 1), 0U);
    CHECK_EQUAL(fixture.map.tag(all.end()), 0U);
    fixture.map.mark(all, 0, nullptr);
    CHECK(!can_be_read(range.start - 1));
    CHECK(!can_be_read(range.start - granule));
}

TEST("the map covers what was dealt out, where a step of covering ends with it, too") {
    constexpr std::size_t step = std::size_t{4} << 30;
    PageMap map;
    AddressRange range{map, 2 * step};
    int note = 0;
    const Extent extent = range.take(step, granule);
    map.mark({extent.end() - granule, granule}, 0x10007, &note);
    CHECK_EQUAL(map.tag(extent.end() - 1), 0x10007U);
    CHECK(map.note(extent.end() - 1) == &note);
    map.mark({extent.end() - granule, granule}, 0, nullptr);
}

TEST("in front of a range is room for the tags of all of it, their own and a granule more") {
    for (std::size_t bytes = AddressRange::least; bytes <= std::size_t{1} << 46; bytes *= 2) {
        const std::size_t front = PageMap::front(bytes);
        const std::size_t tags = ((front + bytes) / granule + 1) * sizeof(Tag);
        CHECK(tags + granule <= front);
        CHECK_EQUAL(front % huge_page, 0U);
    }
}

TEST("foreign addresses are nobody's, wherever they are") {
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

TEST("an owner's number tells it from all others with one subtraction") {
    Fixture fixture;
    int one = 0;
    int other = 0;
    const Tag mine = fixture.map.enrol(&one);
    const Tag theirs = fixture.map.enrol(&other);
    CHECK(mine != 0U && theirs != 0U && mine != theirs);
    CHECK(kind_for(mine + Kind{3}, mine) == Kind{3});
    CHECK(kind_for(theirs + Kind{3}, mine) > largest_kind);
    CHECK(kind_for(0, mine) > largest_kind);
    fixture.map.withdraw(theirs);
    CHECK(fixture.map.owner(theirs + 3) == nullptr);
    CHECK(fixture.map.owner(mine + 3) == &one);
}

TEST("a withdrawn number comes again as late as possible, and too many owners are refused") {
    Fixture fixture;
    int owner = 0;
    const Tag first = fixture.map.enrol(&owner);
    fixture.map.withdraw(first);
    CHECK(fixture.map.enrol(&owner) != first);
    for (int i = 0; i < 65534; ++i) fixture.map.enrol(&owner);
    CHECK_THROWS(Exhausted, "there are 65535 pools of pages already; close some before making more",
                 fixture.map.enrol(&owner));
    fixture.map.withdraw(first);
    CHECK_EQUAL(fixture.map.enrol(&owner), first);
}
