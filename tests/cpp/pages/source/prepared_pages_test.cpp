#include "pages/source/prepared_pages.hpp"

#include <sys/mman.h>
#include <sys/resource.h>

#include <cstdio>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "pages/source/explicit_huge_pages.hpp"
#include "pages/source/fake_pages.hpp"
#include "pages/system/probes.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pages;

namespace {

std::size_t resident_pages(Extent extent) {
    std::vector<unsigned char> resident(extent.bytes / page_size());
    mincore(extent.start, extent.bytes, resident.data());
    std::size_t count = 0;
    for (const unsigned char page : resident) count += page & 1U;
    return count;
}

}  // namespace

TEST("populated pages are there before they are touched") {
    if (advice_is_ignored()) return;
    PreparedPages pages{os_pages(), {.populated = true}};
    const Extent extent = pages.map(16 * page_size(), 1);
    CHECK_EQUAL(resident_pages(extent), 16U);
    CHECK(extent.start[0] == std::byte{0});
    pages.unmap(extent);
}

TEST("huge pages are advised before the pages are populated") {
    if (advice_is_ignored()) return;
    class Watching final : public PageSource {
      public:
        Extent map(std::size_t bytes, std::size_t align) noexcept override {
            return os_pages().map(bytes, align);
        }
        void unmap(Extent extent) noexcept override { os_pages().unmap(extent); }
        bool purge(Extent extent) noexcept override { return os_pages().purge(extent); }
        bool advise_huge(Extent extent, bool huge) noexcept override {
            advised += extent.bytes;
            there_already += resident_pages(extent);
            return os_pages().advise_huge(extent, huge);
        }

        std::size_t advised = 0;
        std::size_t there_already = 0;
    };
    Watching under;
    PreparedPages pages{under, {.populated = true}};
    for (const bool huge : {true, false}) {
        const Extent extent = pages.map_advised(2 * huge_page, huge_page, huge);
        CHECK_EQUAL(resident_pages(extent), 2 * huge_page / page_size());
        pages.unmap(extent);
    }
    CHECK_EQUAL(under.advised, 4 * huge_page);
    CHECK_EQUAL(under.there_already, 0U);
}

TEST("locked pages are populated and stay, and a refused lock refuses the pages") {
    FakePages under;
    PreparedPages pages{under, {.locked = true}};
    const Extent extent = pages.map(page_size(), 1);
    if (extent && resident_pages(extent) == 0) {
        pages.unmap(extent);
        std::printf("       skipped: this build locks nothing, as sanitizers do\n");
        return;
    }
    if (extent) {
        CHECK(!pages.purge(extent));
        pages.unmap(extent);
    }
    rlimit before{};
    getrlimit(RLIMIT_MEMLOCK, &before);
    const rlimit none{0, before.rlim_max};
    setrlimit(RLIMIT_MEMLOCK, &none);
    const Extent refused = pages.map(page_size(), 1);
    setrlimit(RLIMIT_MEMLOCK, &before);
    if (refused) {
        std::printf("       skipped: this process may lock what it likes\n");
        pages.unmap(refused);
    }
    CHECK_EQUAL(under.mapped, 0U);
}

TEST("the error names a node that the machine does not have") {
    const unsigned nodes = memory_nodes();
    CHECK(nodes >= 1U);
    const std::string text = "memory of NUMA node " + std::to_string(nodes + 3) +
                             " was asked for, but this machine has " + std::to_string(nodes);
    CHECK_THROWS(BadArgument, text, (PreparedPages{os_pages(), {.node = nodes + 3}}));
    if (nodes == 1) {
        CHECK_THROWS(BadArgument, "has 1 node: leave the node out",
                     (PreparedPages{os_pages(), {.node = 1}}));
    }
}

TEST("pages of a node can be used like others") {
    PreparedPages pages{os_pages(), {.populated = true, .node = 0}};
    const Extent extent = pages.map(4 * page_size(), 1);
    if (!extent) {
        std::printf("       skipped: this kernel binds no memory to nodes\n");
        return;
    }
    extent.start[0] = std::byte{1};
    pages.unmap(extent);
}

TEST("the new part of a grown extent is prepared, too") {
    if (advice_is_ignored()) return;
    PreparedPages pages{os_pages(), {.populated = true}};
    const Extent extent = pages.grow(pages.map(page_size(), 1), 8 * page_size());
    CHECK_EQUAL(resident_pages(extent), 8U);
    pages.unmap(extent);
}

TEST("explicit huge pages are whole, or refused if none are set aside") {
    ExplicitHugePages pages;
    const Extent extent = pages.map(1, 1);
    if (extent) {
        CHECK_EQUAL(extent.bytes, huge_page);
        CHECK(!pages.purge(extent));
        extent.start[0] = std::byte{1};
        pages.unmap(extent);
    }
    CHECK(!pages.map(0, 1));
    CHECK(!pages.map(huge_page, 2 * huge_page));
}
