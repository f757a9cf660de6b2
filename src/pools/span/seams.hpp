#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pools/span/free_spans.hpp"

namespace numpool::pools {

/// Where the kernel's mappings may begin, and which units it was told to use huge pages for: what
/// banks know of them, in the page map. What is not a seam may still be one: then a move is
/// refused.
///
/// The byte behind a span may be another bank's, hence the atomic accesses.
namespace seams {

inline constexpr std::uint8_t seam_bit = 1;
inline constexpr std::uint8_t advised_bit = 2;

/// Of all banks together: the kernel counts a process's mappings.
inline std::atomic<std::size_t> total = 0;

inline std::size_t count() noexcept {
    return total.load(std::memory_order_relaxed);
}

inline std::atomic_ref<std::uint8_t> byte_of(const std::byte* granule) noexcept {
    return std::atomic_ref<std::uint8_t>{*pages::page_map.seam(granule)};
}

inline bool at(const std::byte* granule) noexcept {
    return (byte_of(granule).load(std::memory_order_relaxed) & seam_bit) != 0;
}

inline void set(const std::byte* granule) noexcept {
    const auto old = byte_of(granule).fetch_or(seam_bit, std::memory_order_relaxed);
    if ((old & seam_bit) == 0) total.fetch_add(1, std::memory_order_relaxed);
}

inline void clear(const std::byte* granule) noexcept {
    if (!at(granule)) return;
    byte_of(granule).fetch_and(static_cast<std::uint8_t>(~seam_bit), std::memory_order_relaxed);
    total.fetch_sub(1, std::memory_order_relaxed);
}

/// Whether a seam lies inside of these granules, their start apart.
bool inside(const std::byte* start, std::size_t granules) noexcept;

/// Whether a unit has so many warm granules and lies, as far as is known, in one mapping.
inline bool is_whole(const std::byte* unit, std::size_t least_warm) noexcept {
    return warm_granules(unit, unit_granules) >= least_warm && !inside(unit, unit_granules);
}

/// Clears the seams inside of these granules and sets those at their ends.
void smooth(std::byte* start, std::size_t granules) noexcept;

/// Clears all that is known of these granules.
void forget(std::byte* start, std::size_t granules) noexcept;

/// Notes that pages moved: one mapping went, and one stayed behind.
void moved(std::byte* from, std::byte* to, std::size_t granules) noexcept;

inline bool advised(const std::byte* unit) noexcept {
    return (byte_of(unit).load(std::memory_order_relaxed) & advised_bit) != 0;
}
void set_advised(std::byte* unit, bool advised) noexcept;

}  // namespace seams
}  // namespace numpool::pools
