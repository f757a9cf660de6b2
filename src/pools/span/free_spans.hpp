#pragma once

#include <cstddef>
#include <cstdint>

#include "base/size.hpp"
#include "pools/span/span_bins.hpp"
#include "pools/span/span_records.hpp"

namespace numpool::pools {

/// The granules of a unit: an aligned 2 MiB, which a huge page covers and which moves fastest.
inline constexpr std::size_t unit_granules = pages::huge_page / pages::granule;

/// The address rounded up, or down, to a multiple of a unit.
inline std::byte* unit_from(std::byte* address) noexcept {
    return reinterpret_cast<std::byte*>(
        round_up(reinterpret_cast<std::uintptr_t>(address), pages::huge_page));
}
inline std::byte* unit_to(std::byte* address) noexcept {
    return reinterpret_cast<std::byte*>(
        round_down(reinterpret_cast<std::uintptr_t>(address), pages::huge_page));
}

/// The granules of a request, at least one. No value of `bytes` overflows.
constexpr std::size_t granules_for(std::size_t bytes) noexcept {
    const std::size_t granules =
        (bytes >> pages::granule_shift) + ((bytes & (pages::granule - 1)) != 0 ? 1 : 0);
    return granules == 0 ? 1 : granules;
}

/// How many of these granules may have pages. The others read as zero.
std::size_t warm_granules(const std::byte* start, std::size_t granules) noexcept;

/// The free spans of a bank. They are found by size, by their last use, and by address through the
/// page map. Free neighbours are merged, whether they have pages or not; the page map's `warm`
/// bytes tell which granules have pages.
class FreeSpans {
  public:
    /// A place for a request: in this span, from this granule on.
    struct Fit {
        Span* span = nullptr;
        std::byte* start = nullptr;
        /// How many granules of the place have pages.
        std::size_t warm = 0;
    };

    explicit FreeSpans(SpanRecords& records) noexcept : records_{records} {}

    /// Adds a span, clears its tags and merges it with its free neighbours. The warm bytes of its
    /// granules must be right. Returns the merged span.
    Span* add(Span* span) noexcept;

    /// Adds the span of a new region, which has no neighbours and no tags.
    void add_region(Span* span) noexcept;

    /// Carves a place out of a free span. The rests before and behind it stay free. Two records
    /// must be ensured. The result is in no list and has no tags.
    Span* carve(Span* span, std::byte* start, std::size_t granules) noexcept;

    /// Carves the front off a larger free span, without a record for it. All granules of the front
    /// must have pages. The front is then in no list and has no tags.
    void carve_front(Span* span, std::size_t granules) noexcept;

    /// The best place for a request: the one with most pages, or with fewest if `cold`; among equal
    /// ones, that in the smallest span. A place of a unit or more starts at a unit. Smaller ones
    /// cannot be `cold`.
    Fit best_fit(std::size_t granules, bool cold) const noexcept;

    /// The free span that begins here, or null.
    Span* starting_at(const std::byte* start) const noexcept;

    /// `cool` notes that granules of a free span lost their pages; `warm_up` notes that some more
    /// got pages.
    void cool(Span* span, std::byte* start, std::size_t granules) noexcept;
    void warm_up(Span* span, std::size_t granules_more) noexcept;

    /// Of the spans with pages, the one with the oldest last use; `newer` leads to the others.
    Span* oldest() const noexcept { return oldest_; }
    /// The granules of all free spans that may have pages.
    std::size_t warm() const noexcept { return warm_; }

    /// Calls `visit(span)` for each free span. `visit` must not change the lists.
    template <class Visit>
    void for_each(Visit visit) const {
        for (std::size_t bin = bins_.next_nonempty(0); bin < SpanBins::count;
             bin = bins_.next_nonempty(bin + 1)) {
            for (Span* span = bins_.first(bin); span != nullptr; span = span->next) visit(*span);
        }
    }

    /// Removes a span from the lists.
    void remove(Span* span) noexcept { unlink(span); }

    /// Whether exactly the right lists hold this span; for `check`.
    bool holds(const Span& span) const noexcept;

  private:
    void link(Span* span) noexcept;
    void unlink(Span* span) noexcept;
    void link_idle(Span* span) noexcept;
    void unlink_idle(Span* span) noexcept;
    Fit place_units(Span* span, std::size_t granules, bool cold) const noexcept;
    Fit place_small(Span* span, std::size_t granules) const noexcept;

    SpanRecords& records_;
    SpanBins bins_;
    Span* oldest_ = nullptr;
    Span* newest_ = nullptr;
    std::size_t warm_ = 0;
};

}  // namespace numpool::pools
