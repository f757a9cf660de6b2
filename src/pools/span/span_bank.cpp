#include "pools/span/span_bank.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/size.hpp"
#include "pages/source/os_pages.hpp"
#include "pages/system/memory_limit.hpp"
#include "pools/span/seams.hpp"

namespace numpool::pools {

using pages::granule_shift;
using pages::page_map;

namespace {

/// From this many granules on a zeroed span is not written but gets untouched pages: untouched
/// zeroes must cost neither time nor memory there.
constexpr std::size_t lazy_granules = (std::size_t{32} << 20) >> granule_shift;

/// A span of fewer granules is left to page faults: they cost less than a move.
constexpr std::size_t least_filled = 4;

/// Addresses come from the source in pieces of at least so much, and of a multiple of this.
constexpr std::size_t least_region = std::size_t{64} << 20;
constexpr std::size_t most_region = std::size_t{4} << 30;
constexpr std::size_t region_unit = std::size_t{4} << 20;

/// Records that one request may need: a region, and two for each place that is cut.
constexpr std::size_t records_needed = 8;

}  // namespace

SpanBank::SpanBank(const SpanBankOptions& options, pages::Tag owner, pages::PageSource& source)
    : limit_{options.limit},
      cached_limit_{options.cached_limit == SpanBankOptions::fraction_of_memory
                        ? pages::memory_limit() / 4
                        : options.cached_limit},
      mover_{source, free_, options.move_pages, options.huge_pages && pages::huge_pages_offered()},
      source_{source},
      owner_{owner},
      small_huge_from_{options.small_huge_from},
      decay_milliseconds_{options.decay_milliseconds} {}

SpanBank::~SpanBank() {
    // A region in which addresses were lost is not given back: they may be somebody else's.
    records_.for_each_used([this](const Span& span) {
        if (span.state != Span::State::lost) return;
        std::erase_if(regions_, [&span](const pages::Extent& region) {
            return span.start >= region.start && span.start < region.end();
        });
    });
    for (const pages::Extent& region : regions_) {
        seams::forget(region.start, region.bytes >> granule_shift);
        source_.unmap(region);
    }
}

Span* SpanBank::acquire_slow(std::size_t granules, bool zeroed) noexcept {
    if (granules > max_size >> granule_shift) return refuse(Refusal::too_large);
    if (live_ + (granules << granule_shift) > limit_) return refuse(Refusal::limit);
    Span*& resting = resting_[slot_of(granules)];
    if (resting != nullptr && resting->granules == granules && zero_resting(resting)) {
        Span* const span = resting;
        resting = span->next;
        wake(span, span->zero_bytes);
        return span;
    }
    Span* const span = take(granules, zeroed && granules >= lazy_granules);
    if (span == nullptr) return refuse(Refusal::system);
    if (zeroed) zero(span);
    make_live(span);
    hold_to_bounds();
    return span;
}

bool SpanBank::has_pages_for(std::size_t bytes) noexcept {
    const std::size_t granules = granules_for(bytes);
    const Span* const resting = resting_[slot_of(granules)];
    if (resting != nullptr && resting->granules == granules) return true;
    // Asked for each fresh block that is taken: no search is made twice for the same answer.
    const bool searched = granules >= none_for_ && cached() == none_among_;
    if (cached() < bytes || searched) return false;
    settle();
    if (free_.best_fit(granules, false).warm == granules) return true;
    none_for_ = granules;
    none_among_ = cached();
    return false;
}

/// A place for a request, cut out and filled with pages, but nobody's yet. `cold` is for those who
/// want untouched pages.
Span* SpanBank::take(std::size_t granules, bool cold) noexcept {
    settle();
    Span* span = try_take(granules, cold);
    if (span != nullptr) return span;
    // Memory is short: everything that is cached goes before the request fails.
    trim();
    give_regions_back();
    return try_take(granules, cold);
}

Span* SpanBank::try_take(std::size_t granules, bool cold) noexcept {
    for (;;) {
        if (!records_.reserve(records_needed)) return nullptr;
        FreeSpans::Fit fit = free_.best_fit(granules, cold);
        if (fit.span == nullptr) {
            if (!add_region(granules)) return nullptr;
            fit = free_.best_fit(granules, cold);
        }
        Span* const span = free_.cut(fit.span, fit.start, granules);
        const bool fills = !cold && fit.warm != granules && granules >= least_filled;
        if (fills && !mover_.fill(*span, span->start)) {
            lose(span);
            continue;
        }
        advise(*span);
        return span;
    }
}

void SpanBank::zero(Span* span) noexcept {
    const bool purges = span->granules >= lazy_granules;
    std::uint8_t* const warm = page_map.warm(span->start);
    std::uint8_t* const last = warm + span->granules;
    // Not a granule at a time, of which a gibibyte has 16384.
    const auto next = [last](std::uint8_t* from, int kind) {
        void* const found = std::memchr(from, kind, static_cast<std::size_t>(last - from));
        return found == nullptr ? last : static_cast<std::uint8_t*>(found);
    };
    for (std::uint8_t* at = next(warm, 1); at != last;) {
        std::uint8_t* const end = next(at, 0);
        std::byte* const start = span->start + ((at - warm) << granule_shift);
        const std::size_t bytes = static_cast<std::size_t>(end - at) << granule_shift;
        if (purges && source_.purge({start, bytes})) {
            std::memset(at, 0, static_cast<std::size_t>(end - at));
            purged_ += bytes;
        } else {
            std::memset(start, 0, bytes);
        }
        at = next(end, 1);
    }
}

/// Makes a span zero that rests, where that is the best to be had for a zeroed request.
bool SpanBank::zero_resting(Span* span) noexcept {
    const std::size_t bytes = span->bytes();
    span->zero_bytes = 0;
    if (span->granules < lazy_granules) {
        std::memset(span->start, 0, bytes);
        return true;
    }
    // Untouched pages of another place are cheaper, unless about as many must go for them.
    const bool many_go = live_ + cached() + bytes / 2 > bound();
    if (!many_go || !source_.purge({span->start, bytes})) return false;
    purged_ += bytes;
    fresh_ += bytes;
    span->zero_bytes = bytes;
    return true;
}

/// Makes a span that was cut somebody's.
void SpanBank::make_live(Span* span) noexcept {
    std::uint8_t* const warm = page_map.warm(span->start);
    const std::size_t fresh = span->granules - warm_granules(span->start, span->granules);
    fresh_ += fresh << granule_shift;
    cut_ += span->bytes();
    std::size_t zero = fresh == span->granules ? fresh : 0;
    while (zero < fresh && warm[span->granules - 1 - zero] == 0) ++zero;
    span->zero_bytes = zero << granule_shift;
    std::memset(warm, 1, span->granules);
    span->state = Span::State::live;
    mark_as_span(span);
    count_live(span->bytes());
    // Only here can the sum grow: elsewhere live spans become cached ones, or cached ones live.
    peak_committed_ = std::max(peak_committed_, live_ + cached());
}

/// A move lost the addresses of a span, and perhaps some right behind it. Nobody uses them again.
void SpanBank::lose(Span* span) noexcept {
    Span* const next = span->last_of_region ? nullptr : free_.starting_at(span->end());
    if (next != nullptr) free_.remove(next);
    for (Span* const lost : {span, next}) {
        if (lost == nullptr) continue;
        lost->state = Span::State::lost;
        page_map.mark({lost->start, lost->bytes()}, 0, lost);
        std::memset(page_map.warm(lost->start), 1, lost->granules);
    }
}

bool SpanBank::add_region(std::size_t granules) noexcept {
    const std::size_t needed = round_up(granules << granule_shift, region_unit);
    const std::size_t roomy = std::max(needed, std::clamp(mapped_, least_region, most_region));
    try {
        regions_.reserve(regions_.size() + 1);
    } catch (const std::bad_alloc&) {
        return false;
    }
    pages::Extent region = source_.map(roomy, region_unit);
    if (!region && roomy != needed) region = source_.map(needed, region_unit);
    if (!region) return false;
    regions_.push_back(region);
    mapped_ += region.bytes;
    Span* const span = records_.take();
    span->start = region.start;
    span->granules = region.bytes >> granule_shift;
    span->first_of_region = span->last_of_region = true;
    free_.add_region(span);
    return true;
}

void SpanBank::mark_as_span(Span* span) noexcept {
    page_map.mark({span->start, span->bytes()}, owner_ + pages::span_kind, span);
    span->marked = false;
}

void SpanBank::mark(Span* span, pages::Tag kind, void* note) noexcept {
    page_map.mark({span->start, span->bytes()}, owner_ + kind, note);
    span->marked = true;
}

void SpanBank::set_limit(std::size_t bytes) noexcept {
    limit_ = bytes;
    hold_to_bounds();
}

void SpanBank::set_cached_limit(std::size_t bytes) noexcept {
    cached_limit_ = bytes;
    if (cached() > cached_limit_) shrink_cache();
}

SpanFigures SpanBank::figures() const noexcept {
    SpanFigures figures;
    figures.mapped = mapped_;
    figures.cached = cached();
    figures.live = live_;
    figures.committed = live_ + figures.cached;
    figures.peak = peak_;
    figures.peak_committed = peak_committed_;
    figures.fresh = fresh_;
    figures.moved = mover_.moved_bytes();
    figures.purged = purged_;
    return figures;
}

}  // namespace numpool::pools
