#pragma once

#include <cstddef>
#include <cstdint>

#include "pages/range/page_map.hpp"

namespace numpool::pools {

/// The kind of spans in the page map. The smaller kinds are slabs'
/// (pools/magazine/class_offset.hpp).
inline constexpr pages::Kind span_kind = pages::largest_kind;

/// The record of a span: a run of granules of a bank, live or cached or only addresses.
///
/// The record lies outside of the span. While the span is live, its user may read the fields up to
/// `state`; the others are the bank's.
struct Span {
    enum class State : std::uint8_t {
        /// The record itself is unused.
        none,
        /// Acquired and not yet released.
        live,
        /// Released and kept whole, with its pages, for the next request of its size.
        resting,
        /// Free and merged with its free neighbours; it may have pages for only a part of it.
        free,
        /// Addresses that a failed move lost. Nothing may touch them again.
        lost,
    };

    std::byte* start = nullptr;
    std::size_t granules = 0;
    /// This many bytes at its end read as zero when it was acquired.
    std::size_t zero_bytes = 0;
    /// For its user, unchanged while it is live or resting: `SpanPool` has its block at `offset`.
    static constexpr std::uint32_t no_offset = ~std::uint32_t{0};
    std::uint32_t offset = no_offset;
    std::size_t requested = 0;
    State state = State::none;

    /// It is the first, or the last, of its region: it cannot merge with a span before it, or
    /// behind.
    bool first_of_region = false;
    bool last_of_region = false;
    /// It has a slab's tag and note in the page map.
    bool is_slab = false;
    /// In milliseconds. If it is free: when it was last in use. If it rests: when the cache last
    /// looked for idle spans, before it was released.
    std::uint64_t stamp = 0;
    /// If it is free: how many of its granules may have pages.
    std::size_t warm = 0;
    /// Links of the resting spans of a size, the free spans of a bin, or the unused records.
    Span* next = nullptr;
    Span* previous = nullptr;
    /// Links of the free spans that have pages, in the order of their last use.
    Span* newer = nullptr;
    Span* older = nullptr;

    std::size_t bytes() const noexcept { return granules << pages::granule_shift; }
    std::byte* end() const noexcept { return start + bytes(); }
};

}  // namespace numpool::pools
