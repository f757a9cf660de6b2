#include "base/size_classes.hpp"

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/size.hpp"

namespace numpool {
namespace {

/// The next default size above `size`.
constexpr std::size_t default_after(std::size_t size) noexcept {
    if (size < 64) return round_down(size, 16) + 16;
    if (size < 256) return round_down(size, 64) + 64;
    const std::size_t doubling = std::bit_floor(size);
    const std::size_t step = doubling / (doubling < 32 * 1024 ? 4 : 8);
    return round_down(size, step) + step;
}

std::size_t checked(std::size_t size) {
    if (size == 0 || size > SizeClasses::largest) {
        throw BadArgument{"a size class of " + std::to_string(size) +
                          " bytes: classes are from 1 to 65536 bytes, larger blocks are spans"};
    }
    const std::size_t rounded = round_up(size, 16);
    return round_up(rounded, SizeClasses::align_of(rounded));
}

}  // namespace

SizeClasses::SizeClasses() {
    add_defaults_above(0);
}

SizeClasses::SizeClasses(std::span<const std::size_t> sizes) {
    if (sizes.empty()) {
        throw BadArgument{"no size classes: give at least one, or leave the choice to the pool"};
    }
    std::vector<std::size_t> sorted;
    for (const std::size_t size : sizes) sorted.push_back(checked(size));
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    if (sorted.size() > most) {
        throw BadArgument{std::to_string(sorted.size()) + " size classes: " + std::to_string(most) +
                          " is the most that a pool has"};
    }
    for (const std::size_t size : sorted) add(size);
    add_defaults_above(sorted.back());
}

void SizeClasses::add_defaults_above(std::size_t size) noexcept {
    while (size < largest) {
        size = default_after(size);
        add(size);
    }
}

}  // namespace numpool
