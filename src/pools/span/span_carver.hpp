#pragma once

#include <cstddef>
#include <memory>

#include "pools/span/span_moving.hpp"
#include "pools/span/span_regions.hpp"

namespace numpool::pools {

/// Carves the places for requests out of free spans, and moves pages there. A place is a span that
/// is in no list and has no tags yet.
class SpanCarver {
  public:
    /// If `moving` is null, no pages move.
    SpanCarver(SpanRecords& records, FreeSpans& free, SpanRegions& regions,
               std::unique_ptr<SpanMoving> moving) noexcept
        : records_{records}, free_{free}, regions_{regions}, moving_{std::move(moving)} {}

    /// The place that fits best; if no free span is large enough, one in a new region. `cold`: a
    /// place with few pages, and no pages move there. Null if memory or addresses are refused. Its
    /// pages are committed.
    Span* carve(std::size_t granules, bool cold) noexcept;

    /// The place right behind a span, or null if that is not free or memory is refused.
    Span* carve_behind(const Span& span, std::size_t granules) noexcept;

    /// Carves `granules` right behind a span, without a record for them. False, and nothing has
    /// changed, unless all of them have pages and the free span there is larger.
    bool carve_warm_behind(const Span& span, std::size_t granules) noexcept;

    /// Whether the contents of a span should move and not be copied. Then its new place should be
    /// cold.
    bool moves(const Span& span) const noexcept {
        return moving_ != nullptr && moving_->moves() && span.granules >= unit_granules;
    }

    /// Moves or copies the contents of a span to a larger place, and moves pages to the rest of the
    /// place. False if a move lost addresses: then the contents are where they were, and the place
    /// is lost.
    bool move_contents(Span& from, Span& to, bool by_moving) noexcept;

    std::size_t moved_bytes() const noexcept {
        return moving_ == nullptr ? 0 : moving_->moved_bytes();
    }

  private:
    bool commit(Span& span) noexcept;
    bool fill(Span& span) noexcept;
    Span* free_behind(const Span& span) const noexcept;
    void lose(Span& span) noexcept;

    SpanRecords& records_;
    FreeSpans& free_;
    SpanRegions& regions_;
    /// A SpanMover (pools/moving), or null. `SpanBankOptions::moving` made it.
    std::unique_ptr<SpanMoving> moving_;
};

}  // namespace numpool::pools
