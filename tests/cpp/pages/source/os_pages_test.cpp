#include "pages/source/os_pages.hpp"

#include <cstdint>
#include <cstring>

#include "base/size.hpp"
#include "pages/source/fake_pages.hpp"
#include "pages/system/memory_limit.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pages;

TEST("pages come zeroed, whole and aligned as asked") {
    for (std::size_t align : {std::size_t{1}, std::size_t{4096}, std::size_t{1} << 21}) {
        const Extent extent = os_pages().map(10000, align);
        CHECK(static_cast<bool>(extent));
        CHECK_EQUAL(extent.bytes, round_up(10000, page_size()));
        CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(extent.start) % align, 0U);
        CHECK(extent.start[0] == std::byte{0});
        std::memset(extent.start, 1, extent.bytes);
        os_pages().unmap(extent);
    }
}

TEST("purged pages read as zero again") {
    const Extent extent = os_pages().map(3 * page_size(), 1);
    std::memset(extent.start, 1, extent.bytes);
    CHECK(os_pages().purge({extent.start + page_size(), page_size()}));
    CHECK(extent.start[page_size() - 1] == std::byte{1});
    CHECK(extent.start[page_size()] == std::byte{0});
    CHECK(extent.start[2 * page_size()] == std::byte{1});
    os_pages().unmap(extent);
}

TEST("sizes and alignments that cannot be mapped are refused") {
    CHECK(!os_pages().map(0, 1));
    CHECK(!os_pages().map(max_size, 1));
    CHECK(!os_pages().map(~std::size_t{0}, 1));
    CHECK(!os_pages().map(4096, ~std::size_t{0}));
}

TEST("fake pages count their calls, and fail where a test wants it") {
    FakePages pages;
    pages.fail_after(1, 1);
    const Extent first = pages.map(1, 1);
    CHECK(static_cast<bool>(first));
    CHECK(!pages.map(1, 1));
    const Extent third = pages.map(1, 1);
    CHECK(static_cast<bool>(third));
    CHECK_EQUAL(pages.maps, 2U);
    CHECK_EQUAL(pages.mapped, 2 * page_size());
    pages.unmap(first);
    pages.unmap(third);
    CHECK_EQUAL(pages.mapped, 0U);
}

TEST("fake pages refuse to map or to grow beyond their limit") {
    FakePages pages;
    pages.limit = 4 * page_size();
    const Extent extent = pages.map(3 * page_size(), 1);
    CHECK(static_cast<bool>(extent));
    CHECK(!pages.map(2 * page_size(), 1));
    CHECK(!pages.grow(extent, 5 * page_size()));
    CHECK(!pages.map(~std::size_t{0}, 1));
    const Extent grown = pages.grow(extent, 4 * page_size());
    CHECK_EQUAL(grown.bytes, 4 * page_size());
    pages.unmap(grown);
}

TEST("the memory limit is more than nothing and no more than an address space") {
    CHECK(memory_limit() > (std::size_t{1} << 20));
    CHECK(memory_limit() <= max_size);
}
