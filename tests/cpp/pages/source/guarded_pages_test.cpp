#include "pages/source/guarded_pages.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "testing.hpp"

using namespace numpool;
using namespace numpool::pages;

namespace {

/// Whether reading this byte ends a process.
bool faults(const std::byte* address) {
    const pid_t child = fork();
    if (child == 0) {
        std::signal(SIGSEGV, [](int) { _exit(1); });
        static_cast<void>(*static_cast<const volatile std::byte*>(address));
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status != 0;
}

}  // namespace

TEST("guarded pages are zero, may be used to the last byte, and end at pages that may not") {
    for (const std::size_t bytes : {std::size_t{1}, page_size(), page_size() + 1}) {
        const Extent extent = map_guarded(bytes);
        CHECK_EQUAL(extent.bytes, round_up(bytes, page_size()));
        for (const std::byte* at = extent.start; at != extent.end(); ++at)
            CHECK(*at == std::byte{0});
        std::memset(extent.start, 1, extent.bytes);
        CHECK(!faults(extent.start));
        CHECK(!faults(extent.end() - 1));
        for (const std::byte* const outside : {extent.start - 1, extent.start - page_size(),
                                               extent.end(), extent.end() + page_size() - 1}) {
            CHECK(faults(outside));
            CHECK(is_in_guarded(extent, outside));
        }
        CHECK(!is_in_guarded(extent, extent.start - page_size() - 1));
        CHECK(!is_in_guarded(extent, extent.end() + page_size()));
        CHECK(shut_guarded(extent));
        CHECK(faults(extent.start));
        CHECK(faults(extent.end() - 1));
        unmap_guarded(extent);
    }
}

TEST("guarded pages of no bytes, or of more than there can be, are refused") {
    CHECK(!map_guarded(0));
    CHECK(!map_guarded(max_size));
    CHECK(!map_guarded(max_size + 1));
}
