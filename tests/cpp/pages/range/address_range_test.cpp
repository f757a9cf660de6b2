#include "pages/range/address_range.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <vector>

#include "base/error.hpp"
#include "base/size.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pages;

namespace {

constexpr std::size_t gibibyte = std::size_t{1} << 30;

/// A range of its own, beside the process's.
struct Fixture {
    PageMap map;
    AddressRange range{map, gibibyte};
};

/// Whether `body` returns true in a process of its own.
bool in_child(const std::function<bool()>& body) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) _exit(body() ? 0 : 1);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Limits this process to `bytes` more addresses than it has mapped.
void leave_addresses(std::size_t bytes) {
    std::FILE* const file = std::fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    if (std::fscanf(file, "%lu", &pages) != 1) _exit(2);
    std::fclose(file);
    const rlimit limit{pages * page_size() + bytes, RLIM_INFINITY};
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
}

/// Whether a limit of addresses holds. qemu's emulation of a process takes one and forgets it.
bool addresses_can_be_limited() {
    const bool can = in_child([] {
        leave_addresses(gibibyte);
        rlimit limit{};
        getrlimit(RLIMIT_AS, &limit);
        return limit.rlim_cur != RLIM_INFINITY;
    });
    if (!can) std::printf("       skipped: this system does not limit addresses\n");
    return can;
}

}  // namespace

TEST("addresses come whole and aligned, and never twice") {
    Fixture fixture;
    std::vector<Extent> allocated;
    for (const std::size_t align : {std::size_t{1}, granule, huge_page, std::size_t{64} << 20}) {
        const Extent extent = fixture.range.allocate(3 * granule + 1, align);
        CHECK_EQUAL(extent.bytes, 4 * granule);
        CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(extent.start) % align, 0U);
        const Extent range = fixture.range.extent();
        CHECK(extent.start >= range.start && extent.end() <= range.end());
        for (const Extent& other : allocated) {
            CHECK(extent.end() <= other.start || other.end() <= extent.start);
        }
        allocated.push_back(extent);
    }
}

TEST("released addresses are merged and allocated again") {
    Fixture fixture;
    std::vector<Extent> parts;
    for (int i = 0; i < 4; ++i) parts.push_back(fixture.range.allocate(gibibyte / 4, granule));
    CHECK(!fixture.range.allocate(granule, granule));
    for (const int i : {2, 0, 3, 1}) fixture.range.release(parts[static_cast<std::size_t>(i)]);
    CHECK(fixture.range.allocate(gibibyte, granule).start == parts[0].start);
}

TEST("an extent can be made longer where nothing is behind it") {
    Fixture fixture;
    const Extent first = fixture.range.allocate(granule, granule);
    CHECK(fixture.range.extend(first, granule));
    const Extent second = fixture.range.allocate(granule, granule);
    CHECK(second.start == first.start + 2 * granule);
    CHECK(!fixture.range.extend({first.start, 2 * granule}, granule));
    fixture.range.release(second);
    CHECK(fixture.range.extend({first.start, 2 * granule}, granule));
    CHECK(!fixture.range.extend({first.start, 3 * granule}, 2 * gibibyte));
}

TEST("sizes and alignments that no range can serve are refused") {
    Fixture fixture;
    CHECK(!fixture.range.allocate(0, granule));
    CHECK(!fixture.range.allocate(2 * gibibyte, granule));
    CHECK(!fixture.range.allocate(~std::size_t{0}, granule));
    CHECK(!fixture.range.allocate(granule, ~std::size_t{0}));
}

TEST("where addresses are limited a smaller range serves") {
    if (!addresses_can_be_limited()) return;
    CHECK(in_child([] {
        leave_addresses(8 * gibibyte);
        PageMap map;
        const AddressRange range{map};
        return range.extent().bytes >= gibibyte;
    }));
    CHECK(in_child([] {
        leave_addresses(300 << 20);
        PageMap map;
        AddressRange range{map};
        const Extent extent = range.allocate(granule, granule);
        return range.extent().bytes <= 256 << 20 && static_cast<bool>(extent);
    }));
}

TEST("where no range can be reserved the error says what to raise") {
    if (!addresses_can_be_limited()) return;
    CHECK(in_child([] {
        leave_addresses(16 << 20);
        PageMap map;
        try {
            const AddressRange range{map};
        } catch (const Exhausted& error) {
            return std::string{error.what()} ==
                   "the system refuses even 64 MiB of addresses for pools; raise the address space "
                   "limit (ulimit -v)";
        }
        return false;
    }));
}

TEST("the process has one range") {
    CHECK(&address_range() == &address_range());
    CHECK(address_range().extent().bytes >= AddressRange::least);
}
