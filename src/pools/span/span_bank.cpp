#include "pools/span/span_bank.hpp"

#include <algorithm>
#include <cstring>

#include "base/size.hpp"
#include "pages/source/os_pages.hpp"
#include "pages/system/memory_limit.hpp"

namespace numpool::pools {

using pages::granule_shift;
using pages::page_map;

namespace {

constexpr std::size_t untouched_granules = SpanBank::untouched_zeroes_from >> granule_shift;

bool wants_huge_pages(const SpanBankOptions& options) {
    return options.huge_pages && pages::huge_pages_offered();
}

}  // namespace

SpanBank::SpanBank(const SpanBankOptions& options, pages::Tag pool, pages::PageSource& source)
    : cache_{records_, source,
             options.cached_limit == SpanBankOptions::fraction_of_memory ? pages::memory_limit() / 4
                                                                         : options.cached_limit,
             options.decay_milliseconds},
      bounds_{options.limit},
      regions_{source, records_, cache_.free()},
      carver_{records_, cache_.free(), regions_,
              options.moving == nullptr
                  ? nullptr
                  : options.moving(source, cache_.free(), wants_huge_pages(options))},
      advice_{source, wants_huge_pages(options)},
      pool_tag_{pool},
      small_huge_from_{options.small_huge_from} {}

SpanBank::~SpanBank() = default;

Span* SpanBank::acquire_slow(std::size_t granules, bool zeroed) noexcept {
    if (granules > max_size >> granule_shift) return refuse(Refusal::too_large);
    if (!bounds_.allows(granules << granule_shift)) return refuse(Refusal::limit);
    Span* const resting = cache_.resting().find(granules);
    if (resting != nullptr && zero_resting(*resting)) return wake(resting, resting->zero_bytes);
    Span* const span = carve(granules, zeroed && granules >= untouched_granules);
    if (span == nullptr) return refuse(Refusal::system);
    if (zeroed) zero(*span);
    make_live(span);
    keep_within_bounds();
    return span;
}

Span* SpanBank::acquire_for_slab(std::size_t bytes) noexcept {
    Span* const span = acquire(bytes);
    if (span != nullptr || refusal_ != Refusal::limit || bounds_.kept() == 0) return span;
    const SpanBounds::WithAll all{bounds_};
    return acquire(bytes);
}

bool SpanBank::has_pages_for(std::size_t bytes) noexcept {
    const std::size_t granules = granules_for(bytes);
    if (cache_.resting().find(granules) != nullptr) return true;
    // Called for each fresh block that is at least a page large, so it repeats no failed search.
    const bool searched = granules >= none_for_ && cache_.bytes() == none_among_;
    if (cache_.bytes() < bytes || searched) return false;
    cache_.merge_resting();
    if (cache_.free().best_fit(granules, false).warm == granules) return true;
    none_for_ = granules;
    none_among_ = cache_.bytes();
    return false;
}

/// A place for a request, advised but not live yet. `cold`: a place with few pages.
Span* SpanBank::carve(std::size_t granules, bool cold) noexcept {
    cache_.merge_resting();
    Span* span = carver_.carve(granules, cold);
    if (span == nullptr) {
        // Memory is short: before the request fails, everything cached goes back.
        cache_.trim();
        regions_.give_unused_back();
        span = carver_.carve(granules, cold);
    }
    if (span != nullptr) advise(*span);
    return span;
}

void SpanBank::zero(Span& span) noexcept {
    const bool purges = span.granules >= untouched_granules;
    std::uint8_t* const warm = page_map.warm(span.start);
    std::uint8_t* const last = warm + span.granules;
    // memchr is fast, and a gibibyte has 16384 granules.
    const auto next = [last](std::uint8_t* from, int kind) {
        void* const found = std::memchr(from, kind, static_cast<std::size_t>(last - from));
        return found == nullptr ? last : static_cast<std::uint8_t*>(found);
    };
    for (std::uint8_t* at = next(warm, 1); at != last;) {
        std::uint8_t* const end = next(at, 0);
        std::byte* const start = span.start + ((at - warm) << granule_shift);
        const auto granules = static_cast<std::size_t>(end - at);
        if (purges && cache_.purger().purge_part(start, granules)) {
            std::memset(at, 0, granules);
        } else {
            std::memset(start, 0, granules << granule_shift);
        }
        at = next(end, 1);
    }
}

/// Zeroes a resting span. False if another place is better for a zeroed request.
bool SpanBank::zero_resting(Span& span) noexcept {
    const std::size_t bytes = span.bytes();
    span.zero_bytes = 0;
    if (span.granules < untouched_granules) {
        std::memset(span.start, 0, bytes);
        return true;
    }
    // A cold place is cheaper than purging this one, unless the bounds then make the bank purge
    // about as many bytes.
    const std::size_t held = bounds_.live() + cache_.bytes();
    const bool purges_many = held + bytes / 2 > bounds_.most_held();
    if (!purges_many || !cache_.purger().purge_part(span.start, span.granules)) return false;
    acquired_cold_ += bytes;
    span.zero_bytes = bytes;
    return true;
}

void SpanBank::make_live(Span* span) noexcept {
    std::uint8_t* const warm = page_map.warm(span->start);
    const std::size_t cold = span->granules - warm_granules(span->start, span->granules);
    acquired_cold_ += cold << granule_shift;
    bounds_.note_carved(span->bytes());
    std::size_t zero = cold == span->granules ? cold : 0;
    while (zero < cold && warm[span->granules - 1 - zero] == 0) ++zero;
    span->zero_bytes = zero << granule_shift;
    std::memset(warm, 1, span->granules);
    span->state = Span::State::live;
    tag_as_span({span->start, span->bytes()}, span);
    bounds_.add_live(span->bytes());
    // The sum grows only here: elsewhere live spans become cached, or cached spans become live.
    peak_committed_ = std::max(peak_committed_, bounds_.live() + cache_.bytes());
}

void SpanBank::tag_as_span(pages::Extent part, Span* span) noexcept {
    page_map.set(part, pool_tag_ + span_kind, span);
    span->is_slab = false;
}

void SpanBank::tag_as_slab(Span* span, pages::Kind kind, void* note) noexcept {
    page_map.set({span->start, span->bytes()}, pool_tag_ + kind, note);
    span->is_slab = true;
}

/// The fast case, for a program that grows an array again and again: the place behind is free and
/// has its pages.
bool SpanBank::grow_onto_pages(Span* span, std::size_t granules) noexcept {
    const std::size_t more = granules - span->granules;
    if (!carver_.carve_warm_behind(*span, more)) return false;
    const std::size_t bytes = more << granule_shift;
    tag_as_span({span->end(), bytes}, span);
    span->granules = granules;
    span->zero_bytes = 0;
    advise(*span);
    bounds_.note_carved(bytes);
    bounds_.add_live(bytes);
    return true;
}

bool SpanBank::grow_in_place(Span* span, std::size_t granules) noexcept {
    if (grow_onto_pages(span, granules)) return true;
    Span* const part = carver_.carve_behind(*span, granules - span->granules);
    if (part == nullptr) return false;
    Span whole = *span;
    whole.granules = granules;
    advise(whole);
    make_live(part);
    span->granules = granules;
    span->zero_bytes = part->zero_bytes;
    span->last_of_region = part->last_of_region;
    tag_as_span({part->start, part->bytes()}, span);
    records_.free(part);
    keep_within_bounds();
    return true;
}

Span* SpanBank::grow(Span* span, std::size_t bytes) noexcept {
    const std::size_t granules = granules_for(bytes);
    if (granules <= span->granules) return span;
    if (granules > max_size >> granule_shift) return refuse(Refusal::too_large);
    if (!bounds_.allows((granules - span->granules) << granule_shift)) {
        return refuse(Refusal::limit);
    }
    if (grow_onto_pages(span, granules)) return span;
    const std::uint64_t now = cache_.merge_resting();
    if (grow_in_place(span, granules)) return span;
    bool by_moving;
    Span* to = nullptr;
    do {
        by_moving = carver_.moves(*span);
        to = carve(granules, by_moving);
        if (to == nullptr) return refuse(Refusal::system);
    } while (!carver_.move_contents(*span, *to, by_moving));
    to->offset = span->offset;
    to->requested = span->requested;
    bounds_.drop_live(span->bytes());
    span->stamp = now;
    cache_.free().add(span);
    make_live(to);
    keep_within_bounds();
    cache_.keep_within_limit();
    return to;
}

void SpanBank::shrink(Span* span, std::size_t bytes) noexcept {
    const std::size_t granules = granules_for(bytes);
    if (granules >= span->granules || !records_.ensure(1)) return;
    Span* const tail = records_.allocate();
    tail->start = span->start + (granules << granule_shift);
    tail->granules = span->granules - granules;
    tail->last_of_region = span->last_of_region;
    tail->stamp = cache_.merge_resting();
    span->granules = granules;
    span->last_of_region = false;
    span->zero_bytes = 0;
    bounds_.drop_live(tail->bytes());
    cache_.free().add(tail);
    cache_.keep_within_limit();
}

/// Called after a span was acquired that may get new pages by page faults.
void SpanBank::keep_within_bounds() noexcept {
    const std::size_t held = bounds_.live() + cache_.bytes();
    if (held <= bounds_.most_held() || cache_.bytes() == 0) return;
    const std::size_t excess = held - bounds_.most_held();
    cache_.give_back(excess);
    bounds_.note_gone(excess);
}

SpanFigures SpanBank::figures() const noexcept {
    SpanFigures figures;
    figures.mapped = regions_.mapped();
    figures.cached = cache_.bytes();
    figures.live = bounds_.live();
    figures.committed = figures.live + figures.cached;
    figures.peak = bounds_.peak();
    figures.peak_committed = peak_committed_;
    figures.acquired_cold = acquired_cold_;
    figures.moved = carver_.moved_bytes();
    figures.purged = cache_.purger().purged();
    return figures;
}

}  // namespace numpool::pools
