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

/// Leaves this process so many bytes of addresses more than it has.
void leave_addresses(std::size_t bytes) {
    std::FILE* const file = std::fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    if (std::fscanf(file, "%lu", &pages) != 1) _exit(2);
    std::fclose(file);
    const rlimit limit{pages * page_size() + bytes, RLIM_INFINITY};
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
}

}  // namespace

TEST("addresses come whole and aligned, and never twice") {
    Fixture fixture;
    std::vector<Extent> taken;
    for (const std::size_t align : {std::size_t{1}, granule, huge_page, std::size_t{64} << 20}) {
        const Extent extent = fixture.range.take(3 * granule + 1, align);
        CHECK_EQUAL(extent.bytes, 4 * granule);
        CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(extent.start) % align, 0U);
        CHECK(fixture.range.contains(extent.start) && fixture.range.contains(extent.end() - 1));
        for (const Extent& other : taken) {
            CHECK(extent.end() <= other.start || other.end() <= extent.start);
        }
        taken.push_back(extent);
    }
    CHECK_EQUAL(fixture.range.taken(), 16 * granule);
}

TEST("addresses that come back are merged and dealt out again") {
    Fixture fixture;
    std::vector<Extent> parts;
    for (int i = 0; i < 4; ++i) parts.push_back(fixture.range.take(gibibyte / 4, granule));
    CHECK(!fixture.range.take(granule, granule));
    for (const int i : {2, 0, 3, 1}) fixture.range.give_back(parts[static_cast<std::size_t>(i)]);
    CHECK_EQUAL(fixture.range.taken(), 0U);
    CHECK(fixture.range.take(gibibyte, granule).start == parts[0].start);
}

TEST("an extent can be made longer where nothing is behind it") {
    Fixture fixture;
    const Extent first = fixture.range.take(granule, granule);
    CHECK(fixture.range.take_behind(first, granule));
    const Extent second = fixture.range.take(granule, granule);
    CHECK(second.start == first.start + 2 * granule);
    CHECK(!fixture.range.take_behind({first.start, 2 * granule}, granule));
    fixture.range.give_back(second);
    CHECK(fixture.range.take_behind({first.start, 2 * granule}, granule));
    CHECK(!fixture.range.take_behind({first.start, 3 * granule}, 2 * gibibyte));
}

TEST("nonsense is refused") {
    Fixture fixture;
    CHECK(!fixture.range.take(0, granule));
    CHECK(!fixture.range.take(2 * gibibyte, granule));
    CHECK(!fixture.range.take(~std::size_t{0}, granule));
    CHECK(!fixture.range.take(granule, ~std::size_t{0}));
}

TEST("where addresses are rationed a smaller range serves") {
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
        const Extent extent = range.take(granule, granule);
        return range.extent().bytes <= 256 << 20 && static_cast<bool>(extent);
    }));
}

TEST("where no range can be had the error says what to raise") {
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
