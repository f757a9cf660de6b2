#include "pages/range/range_pages.hpp"

#include <cstring>

#include "base/size.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pages;

TEST("pages of the range come zeroed and whole, and can be written") {
    RangePages pages;
    const Extent extent = pages.map(3 * granule + 1, huge_page);
    CHECK_EQUAL(extent.bytes, 4 * granule);
    CHECK_EQUAL(pages.granularity(), granule);
    const Extent range = address_range().extent();
    CHECK(extent.start >= range.start && extent.end() <= range.end());
    CHECK(extent.start[extent.bytes - 1] == std::byte{0});
    std::memset(extent.start, 1, extent.bytes);
    pages.unmap(extent);
}

TEST("addresses that were unmapped come back zeroed") {
    RangePages pages;
    const Extent first = pages.map(huge_page, huge_page);
    std::memset(first.start, 1, first.bytes);
    pages.unmap(first);
    const Extent second = pages.map(huge_page, huge_page);
    CHECK(second.start == first.start);
    for (std::size_t i = 0; i < second.bytes; i += 512) CHECK(second.start[i] == std::byte{0});
    pages.unmap(second);
}

TEST("pages move with their contents, and the old addresses read as zero") {
    RangePages pages;
    const Extent from = pages.map(2 * huge_page, huge_page);
    const Extent to = pages.map(2 * huge_page, huge_page);
    std::memset(from.start, 7, from.bytes);
    std::memset(to.start, 9, to.bytes);
    const Moved moved = pages.move({from.start, huge_page}, to.start + huge_page);
    if (moved == Moved::refused) {
        std::printf("       skipped: this kernel does not move pages\n");
    } else {
        CHECK(moved == Moved::done);
        CHECK(from.start[0] == std::byte{0} && from.start[huge_page - 1] == std::byte{0});
        CHECK(from.start[huge_page] == std::byte{7});
        CHECK(to.start[huge_page - 1] == std::byte{9});
        CHECK(to.start[huge_page] == std::byte{7});
        CHECK(to.start[2 * huge_page - 1] == std::byte{7});
    }
    pages.unmap(from);
    pages.unmap(to);
}

TEST("a move that is refused changes nothing") {
    RangePages pages;
    const Extent from = pages.map(2 * huge_page, huge_page);
    const Extent to = pages.map(2 * huge_page, huge_page);
    std::memset(from.start, 7, from.bytes);
    std::memset(to.start, 9, to.bytes);
    // Two mappings: the kernel moves only one in a call.
    CHECK(pages.advise_huge({from.start, huge_page}, false));
    if (pages.move(from, to.start) == Moved::refused) {
        CHECK(from.start[0] == std::byte{7} && from.start[from.bytes - 1] == std::byte{7});
        to.start[0] = std::byte{1};
    }
    pages.unmap(from);
    pages.unmap(to);
}

TEST("pages of the range grow in place or not at all") {
    RangePages pages;
    const Extent extent = pages.map(granule, granule);
    extent.start[0] = std::byte{5};
    const Extent grown = pages.grow(extent, 2 * granule);
    if (grown) {
        CHECK(grown.start == extent.start);
        CHECK(grown.start[0] == std::byte{5} && grown.start[granule] == std::byte{0});
    }
    CHECK(!pages.grow(extent, max_size + 1));
    pages.unmap(grown ? grown : extent);
}

TEST("renewed pages read as zero") {
    RangePages pages;
    const Extent extent = pages.map(2 * huge_page, huge_page);
    std::memset(extent.start, 7, extent.bytes);
    CHECK(pages.renew({extent.start + huge_page, huge_page}));
    CHECK(extent.start[huge_page - 1] == std::byte{7});
    CHECK(extent.start[huge_page] == std::byte{0});
    pages.unmap(extent);
}
