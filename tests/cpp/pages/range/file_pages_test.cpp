#include "pages/range/file_pages.hpp"

#include <cstdint>
#include <cstring>

#include "base/size.hpp"
#include "pages/source/disk_folder.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pages;

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

bool is_zero(Extent extent) {
    for (std::size_t i = 0; i < extent.bytes; i += 512) {
        if (extent.start[i] != std::byte{0}) return false;
    }
    return true;
}

}  // namespace

TEST("pages of a file come zeroed, whole, aligned, inside the range, and with their blocks") {
    FilePages pages{disk_folder(), true};
    const Extent extent = pages.map(3 * granule + 1, huge_page);
    CHECK_EQUAL(extent.bytes, 4 * granule);
    CHECK_EQUAL(pages.granularity(), granule);
    CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(extent.start) % huge_page, 0U);
    const Extent range = address_range().extent();
    CHECK(extent.start >= range.start && extent.end() <= range.end());
    CHECK(pages.bytes_on_disk() >= extent.bytes);
    CHECK(is_zero(extent));
    std::memset(extent.start, 1, extent.bytes);
    pages.unmap(extent);
    CHECK_EQUAL(pages.bytes_on_disk(), 0U);
    CHECK(!pages.map(0, 1));
    CHECK(!pages.map(max_size + 1, 1));
}

TEST("pages of a file take blocks from commit to decommit only, and a purge keeps them") {
    FilePages pages{disk_folder(), true};
    const Extent extent = pages.map_uncommitted(8 * mebibyte, huge_page);
    CHECK_EQUAL(pages.bytes_on_disk(), 0U);
    const Extent part{extent.start + 2 * mebibyte, 4 * mebibyte};
    CHECK(pages.commit(part));
    CHECK(pages.commit(part));
    CHECK(pages.bytes_on_disk() >= part.bytes);
    CHECK(is_zero(part));
    std::memset(part.start, 7, part.bytes);
    // A file system may refuse this.
    if (pages.purge({part.start, mebibyte})) {
        CHECK(is_zero({part.start, mebibyte}));
        CHECK(pages.bytes_on_disk() >= part.bytes);
    }
    CHECK(part.start[mebibyte] == std::byte{7});
    CHECK(pages.decommit({part.start, 2 * mebibyte}));
    CHECK(is_zero({part.start, 2 * mebibyte}));
    CHECK(part.start[2 * mebibyte] == std::byte{7});
    CHECK(pages.bytes_on_disk() <= 3 * mebibyte);
    pages.unmap(extent);
    CHECK_EQUAL(pages.bytes_on_disk(), 0U);
}

TEST("a refused commit takes nothing, and says how much the disk has left") {
    FilePages pages{disk_folder(), true};
    CHECK_EQUAL(pages.refusal(), "");
    const std::size_t more = round_up(UnlinkedFile{disk_folder(), true}.bytes_left(), granule);
    const Extent extent = pages.map_uncommitted(more + 64 * mebibyte, granule);
    if (!extent) return;  // The range is smaller than the disk.
    CHECK(!pages.commit(extent));
    CHECK_EQUAL(pages.bytes_on_disk(), 0U);
    CHECK(pages.refusal().starts_with("the disk has only "));
    CHECK(pages.refusal().ends_with(" left in '" + disk_folder() +
                                    "': make room there, or name another folder"));
    pages.unmap(extent);
    CHECK(!pages.map(more + 64 * mebibyte, granule));
}
