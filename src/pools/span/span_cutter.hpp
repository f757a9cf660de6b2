#pragma once

#include <cstddef>
#include <memory>

#include "pools/span/span_moving.hpp"
#include "pools/span/span_regions.hpp"

namespace numpool::pools {

/// Cuts the places for requests out of free spans, and has pages brought there. A place is a span
/// that is in no list and has no mark yet.
class SpanCutter {
  public:
    /// Without `moving` no pages are brought.
    SpanCutter(SpanRecords& records, FreeSpans& free, SpanRegions& regions,
               std::unique_ptr<SpanMoving> moving) noexcept
        : records_{records}, free_{free}, regions_{regions}, moving_{std::move(moving)} {}

    /// The place that fits best, with more addresses if need be. With `cold` it is one with few
    /// pages, and none are brought. Null where memory or addresses are refused.
    Span* cut(std::size_t granules, bool cold) noexcept;

    /// The place right behind a span, or null where that is not free or memory is refused.
    Span* cut_behind(const Span& span, std::size_t granules) noexcept;

    /// Takes so many granules right behind a span, which are nobody's then. False, and nothing has
    /// changed, where not all of them are free and have pages, with more behind them.
    bool take_pages_behind(const Span& span, std::size_t granules) noexcept;

    /// Whether the contents of a span are better moved than copied: its new place should be cold.
    bool moves(const Span& span) const noexcept {
        return moving_ != nullptr && moving_->moves() && span.granules >= unit_granules;
    }

    /// Brings the contents of a span to a larger place, and pages to the rest of that. False where
    /// a move lost addresses: the contents are where they were, and the place is gone.
    bool bring(Span& from, Span& to, bool by_moving) noexcept;

    std::size_t moved_bytes() const noexcept {
        return moving_ == nullptr ? 0 : moving_->moved_bytes();
    }

  private:
    bool fill(Span& span) noexcept;
    Span* free_behind(const Span& span) const noexcept;
    void lose(Span& span) noexcept;

    SpanRecords& records_;
    FreeSpans& free_;
    SpanRegions& regions_;
    std::unique_ptr<SpanMoving> moving_;
};

}  // namespace numpool::pools
