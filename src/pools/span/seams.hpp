#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pools/span/free_spans.hpp"

namespace numpool::pools {

/// What banks know about the kernel's mappings, as two bits for each granule in the page map: a
/// *seam*, where a mapping may begin, and for the first granule of a unit the advice for huge
/// pages. A mapping may also begin elsewhere; then the kernel refuses a move across that place.
///
/// The accesses are atomic, because the byte behind a span may belong to another bank.
namespace seams {

inline constexpr std::uint8_t seam_bit = 1;
inline constexpr std::uint8_t advised_bit = 2;

/// The seams of all banks: the kernel limits the mappings of a process.
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

/// Whether a seam lies inside of these granules. Their start does not count.
bool inside(const std::byte* start, std::size_t granules) noexcept;

/// Whether a unit has at least `least_warm` warm granules and lies, as far as is known, in one
/// mapping.
inline bool is_whole(const std::byte* unit, std::size_t least_warm) noexcept {
    return warm_granules(unit, unit_granules) >= least_warm && !inside(unit, unit_granules);
}

/// Clears the seams inside of these granules and sets those at their ends.
void smooth(std::byte* start, std::size_t granules) noexcept;

/// Clears the seams and the advice of these granules.
void forget(std::byte* start, std::size_t granules) noexcept;

/// Updates the seams and the advice after a move: both places are one mapping each now.
void moved(std::byte* from, std::byte* to, std::size_t granules) noexcept;

inline bool advised(const std::byte* unit) noexcept {
    return (byte_of(unit).load(std::memory_order_relaxed) & advised_bit) != 0;
}
void set_advised(std::byte* unit, bool advised) noexcept;

}  // namespace seams
}  // namespace numpool::pools
