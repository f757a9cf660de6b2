#include "pools/span/seams.hpp"

#include <cstdint>
#include <cstring>

namespace numpool::pools::seams {
namespace {

std::byte* at(std::byte* start, std::size_t granules) noexcept {
    return start + (granules << pages::granule_shift);
}

}  // namespace

bool inside(const std::byte* start, std::size_t granules) noexcept {
    // Another bank may write the first byte of this bank's region, but none of these.
    const std::uint8_t* at = pages::page_map.seam(start) + 1;
    const std::uint8_t* const end = at + granules - 1;
    // Eight at a time, because this is called often.
    std::uint64_t any = 0;
    for (; end - at >= 8; at += 8) {
        std::uint64_t eight;
        std::memcpy(&eight, at, 8);
        any |= eight;
    }
    for (; at < end; ++at) any |= *at;
    return (any & seam_bit * std::uint64_t{0x0101010101010101}) != 0;
}

void smooth(std::byte* start, std::size_t granules) noexcept {
    for (std::size_t i = 1; i < granules; ++i) clear(at(start, i));
    set(start);
    set(at(start, granules));
}

void forget(std::byte* start, std::size_t granules) noexcept {
    for (std::size_t i = 0; i < granules; ++i) {
        clear(at(start, i));
        byte_of(at(start, i)).store(0, std::memory_order_relaxed);
    }
}

void moved(std::byte* from, std::byte* to, std::size_t granules) noexcept {
    smooth(from, granules);
    smooth(to, granules);
    // Advice belongs to the mapping: the target gets it, and the source keeps it.
    if (granules % unit_granules != 0 || unit_from(from) != from || unit_from(to) != to) return;
    for (std::size_t i = 0; i < granules; i += unit_granules) {
        set_advised(at(to, i), advised(at(from, i)));
    }
}

void set_advised(std::byte* unit, bool advised) noexcept {
    if (advised) {
        byte_of(unit).fetch_or(advised_bit, std::memory_order_relaxed);
    } else {
        byte_of(unit).fetch_and(static_cast<std::uint8_t>(~advised_bit), std::memory_order_relaxed);
    }
}

}  // namespace numpool::pools::seams
