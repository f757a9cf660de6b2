#pragma once

#include <cstddef>
#include <cstdint>

#include "base/size.hpp"
#include "pools/span/span_bins.hpp"
#include "pools/span/span_records.hpp"

namespace numpool::pools {

/// Granules that make up a huge page: the unit in which pages move.
inline constexpr std::size_t unit_granules = pages::huge_page / pages::granule;

/// The first address from here on, or the last one up to here, where a unit may begin.
inline std::byte* unit_from(std::byte* address) noexcept {
    return reinterpret_cast<std::byte*>(
        round_up(reinterpret_cast<std::uintptr_t>(address), pages::huge_page));
}
inline std::byte* unit_to(std::byte* address) noexcept {
    return reinterpret_cast<std::byte*>(
        round_down(reinterpret_cast<std::uintptr_t>(address), pages::huge_page));
}

/// Granules a request takes, one at least; no overflow whatever `bytes` is.
constexpr std::size_t granules_for(std::size_t bytes) noexcept {
    const std::size_t granules =
        (bytes >> pages::granule_shift) + ((bytes & (pages::granule - 1)) != 0 ? 1 : 0);
    return granules == 0 ? 1 : granules;
}

/// How many of these granules may hold pages; the others are known to read as zero.
std::size_t warm_granules(const std::byte* start, std::size_t granules) noexcept;

/// The free spans of a bank: found by size, by idleness and by neighbourhood. Neighbours are
/// merged whether they hold pages or not; a byte a granule in the page map says which do.
class FreeSpans {
  public:
    /// A place for a request: within this span, from this granule on.
    struct Fit {
        Span* span = nullptr;
        std::byte* start = nullptr;
        /// Granules of the place that hold pages.
        std::size_t warm = 0;
    };

    explicit FreeSpans(SpanRecords& records) noexcept : records_{records} {}

    /// Takes a span in, merges it with free neighbours and takes its marks away. Its granules' warm
    /// bytes must be right. Returns the free span that it is then part of.
    Span* add(Span* span) noexcept;

    /// The same for addresses that are new: there is nothing to merge and no mark to take away.
    void add_region(Span* span) noexcept;

    /// Takes a place out of a free span, which loses it; what is left stays free. Two records must
    /// be reserved. The result has the place's granules and is nobody's yet.
    Span* cut(Span* span, std::byte* start, std::size_t granules) noexcept;

    /// The same for a place at the front of a span that is larger, where all granules hold pages,
    /// and without a record: the place is the span's no more, and is nobody's yet.
    void cut_front(Span* span, std::size_t granules) noexcept;

    /// Where a request fits best: where most of it holds pages (or least, if `cold`), and among
    /// such in the smallest span. From a unit's size on it starts at one. Only requests of that
    /// size can ask for cold places.
    Fit best_fit(std::size_t granules, bool cold) const noexcept;

    /// The free span that begins here, or null.
    Span* starting_at(const std::byte* start) const noexcept;

    /// Says that granules of a free span lost their pages, or got some.
    void cool(Span* span, std::byte* start, std::size_t granules) noexcept;
    void warm_up(Span* span, std::size_t granules_more) noexcept;

    /// Of those with pages, the one that is idle for longest; `newer` leads to the others.
    Span* oldest() const noexcept { return oldest_; }
    /// Granules of all of them that may hold pages.
    std::size_t warm() const noexcept { return warm_; }

    /// Calls `visit(span)` for each, which must not change the lists.
    template <class Visit>
    void for_each(Visit visit) const {
        for (std::size_t bin = bins_.next_filled(0); bin < SpanBins::count;
             bin = bins_.next_filled(bin + 1)) {
            for (Span* span = bins_.first(bin); span != nullptr; span = span->next) visit(*span);
        }
    }

    /// Takes a span out as it is.
    void remove(Span* span) noexcept { unlink(span); }

    /// Whether the lists hold this span, as `check` asks.
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
