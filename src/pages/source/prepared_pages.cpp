#include "pages/source/prepared_pages.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "base/error.hpp"
#include "base/size_text.hpp"

namespace numpool::pages {
namespace {

// From the kernel's interface. The header that has them comes with libnuma.
constexpr int mode_bind = 2;
constexpr unsigned most_nodes = 1024;

bool bind(Extent extent, unsigned node) noexcept {
    constexpr unsigned bits = 8 * sizeof(unsigned long);
    unsigned long mask[most_nodes / bits] = {};
    mask[node / bits] = 1UL << (node % bits);
    return syscall(SYS_mbind, extent.start, extent.bytes, mode_bind, mask, most_nodes + 1UL, 0U) ==
           0;
}

bool populate(Extent extent) noexcept {
#ifdef MADV_POPULATE_WRITE
    if (madvise(extent.start, extent.bytes, MADV_POPULATE_WRITE) == 0) return true;
    if (errno != EINVAL) return false;
#endif
    // Before Linux 5.14: write to each page instead.
    for (std::size_t offset = 0; offset < extent.bytes; offset += page_size()) {
        static_cast<volatile std::byte*>(extent.start)[offset] = std::byte{0};
    }
    return true;
}

}  // namespace

unsigned memory_nodes() noexcept try {
    unsigned count = 0;
    for (const auto& entry : std::filesystem::directory_iterator{"/sys/devices/system/node"}) {
        const std::string name = entry.path().filename();
        const auto digit = name.find_first_of("0123456789");
        if (digit == 4 && name.starts_with("node")) ++count;
    }
    return count == 0 ? 1 : count;
} catch (...) {
    return 1;
}

PreparedPages::PreparedPages(PageSource& under, const Preparation& preparation)
    : under_{under}, preparation_{preparation} {
    const unsigned nodes = memory_nodes();
    if (preparation.node && *preparation.node >= nodes) {
        throw BadArgument{"memory of NUMA node " + std::to_string(*preparation.node) +
                          " was asked for, but this machine has " + std::to_string(nodes) +
                          (nodes == 1 ? " node: leave the node out"
                                      : " nodes: take one from 0 to " + std::to_string(nodes - 1))};
    }
}

bool PreparedPages::prepare(Extent extent) const noexcept {
    // The node first: binding does not move pages that are there.
    if (preparation_.node && !bind(extent, *preparation_.node)) return false;
    if (preparation_.locked && mlock(extent.start, extent.bytes) != 0) return false;
    return !preparation_.populated || populate(extent);
}

Extent PreparedPages::prepared(Extent extent) noexcept {
    if (!extent || prepare(extent)) return extent;
    under_.unmap(extent);
    return {};
}

Extent PreparedPages::map(std::size_t bytes, std::size_t align) noexcept {
    return prepared(under_.map(bytes, align));
}

Extent PreparedPages::map_advised(std::size_t bytes, std::size_t align, bool huge) noexcept {
    return prepared(under_.map_advised(bytes, align, huge));
}

Extent PreparedPages::grow(Extent extent, std::size_t bytes) noexcept {
    const Extent grown = under_.grow(extent, bytes);
    // The new part cannot be given back alone, so it serves unprepared if preparing it fails.
    if (grown) prepare(grown);
    return grown;
}

[[gnu::cold]] std::string PreparedPages::refusal() const {
    std::string why = under_.refusal();
    const auto add = [&why](const std::string& reason) {
        why += (why.empty() ? "" : ", or ") + reason;
    };
    if (preparation_.locked) {
        rlimit limit{};
        getrlimit(RLIMIT_MEMLOCK, &limit);
        if (limit.rlim_cur != RLIM_INFINITY) {
            add("this process may lock no more than " + size_to_text(limit.rlim_cur) +
                " (RLIMIT_MEMLOCK): raise that");
        }
    }
    if (preparation_.node)
        add("NUMA node " + std::to_string(*preparation_.node) + " has no more memory");
    return why;
}

}  // namespace numpool::pages
