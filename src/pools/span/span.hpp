#pragma once

#include <cstddef>
#include <cstdint>

#include "pages/range/page_map.hpp"

namespace numpool::pools {

/// What the page map says of spans. The smaller kinds are slabs' (pools/magazine/class_offset.hpp).
inline constexpr pages::Kind span_kind = pages::largest_kind;

/// A run of granules that a bank knows: in use, or cached, or merely addresses.
///
/// Its record lies outside of it. While it is live, its user may read the fields up to `state`; the
/// others are the bank's.
struct Span {
    enum class State : std::uint8_t {
        /// The record itself is unused.
        none,
        /// Somebody's.
        live,
        /// Cached as it was released, for the next request of its size.
        resting,
        /// Free, merged with its free neighbours; some of its pages may be given back.
        free,
        /// Addresses that a failed move lost; never touched again.
        lost,
    };

    std::byte* start = nullptr;
    std::size_t granules = 0;
    /// The bytes of it that read as zero, counted from the end, at the time it was acquired.
    std::size_t zero_bytes = 0;
    /// Its user's, unchanged while it is live or resting: the span pool keeps a block here.
    static constexpr std::uint32_t no_offset = ~std::uint32_t{0};
    std::uint32_t offset = no_offset;
    std::size_t requested = 0;
    State state = State::none;

    /// It begins, or ends, what the page source gave in one piece: nothing to merge with there.
    bool first_of_region = false;
    bool last_of_region = false;
    /// It was marked as something else than a span.
    bool marked = false;
    /// When it was last in use, in milliseconds; while it rests, a time not later than that.
    std::uint64_t stamp = 0;
    /// Granules of a free one that may hold pages.
    std::size_t warm = 0;
    /// The resting ones of a size, or the free ones of a bin, or the unused records.
    Span* next = nullptr;
    Span* previous = nullptr;
    /// Free ones with pages, the one idle for longest first.
    Span* newer = nullptr;
    Span* older = nullptr;

    std::size_t bytes() const noexcept { return granules << pages::granule_shift; }
    std::byte* end() const noexcept { return start + bytes(); }
};

}  // namespace numpool::pools
