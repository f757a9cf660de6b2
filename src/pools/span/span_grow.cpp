// The bank's half that changes the size of live spans.
#include <cstring>

#include "base/size.hpp"
#include "pools/span/span_bank.hpp"

namespace numpool::pools {

using pages::granule_shift;

/// Granules with pages behind a span, which are nobody's, become its own.
void SpanBank::take_behind(Span* span, std::size_t granules) noexcept {
    const pages::Extent more{span->end(), granules << granule_shift};
    pages::page_map.mark(more, owner_ + pages::span_kind, span);
    span->granules += granules;
    span->zero_bytes = 0;
    advise(*span);
    cut_ += more.bytes;
    count_live(more.bytes);
}

/// The common case where a program grows something again and again: what is behind is free, and its
/// pages are there.
bool SpanBank::grow_onto_pages(Span* span, std::size_t granules) noexcept {
    const std::size_t more = granules - span->granules;
    Span* const next = span->last_of_region ? nullptr : free_.starting_at(span->end());
    if (next == nullptr || next->granules <= more) return false;
    if (warm_granules(next->start, more) != more) return false;
    free_.cut_front(next, more);
    take_behind(span, more);
    return true;
}

bool SpanBank::grow_in_place(Span* span, std::size_t granules) noexcept {
    if (grow_onto_pages(span, granules)) return true;
    const std::size_t more = granules - span->granules;
    Span* const next = span->last_of_region ? nullptr : free_.starting_at(span->end());
    if (next == nullptr || next->granules < more || !records_.reserve(2)) return false;
    Span* const part = free_.cut(next, span->end(), more);
    if (!mover_.fill(*part, part->start)) {
        lose(part);
        return false;
    }
    Span whole = *span;
    whole.granules = granules;
    advise(whole);
    make_live(part);
    span->granules = granules;
    span->zero_bytes = part->zero_bytes;
    span->last_of_region = part->last_of_region;
    pages::page_map.mark({part->start, part->bytes()}, owner_ + pages::span_kind, span);
    records_.put(part);
    hold_to_bounds();
    return true;
}

Span* SpanBank::grow(Span* span, std::size_t bytes) noexcept {
    const std::size_t granules = granules_for(bytes);
    if (granules <= span->granules) return span;
    if (granules > max_size >> granule_shift) return refuse(Refusal::too_large);
    if (live_ + ((granules - span->granules) << granule_shift) > limit_) {
        return refuse(Refusal::limit);
    }
    if (grow_onto_pages(span, granules)) return span;
    const std::uint64_t now = settle();
    if (grow_in_place(span, granules)) return span;
    // Contents of a unit or more are moved, to where no pages are in their way.
    bool carried = false;
    Span* to = nullptr;
    while (!carried) {
        const bool moves = mover_.moves() && span->granules >= unit_granules;
        to = take(granules, moves);
        if (to == nullptr) return refuse(Refusal::system);
        if (moves && warm_granules(to->start, to->granules) == 0) {
            // What is new comes first: once the contents are there, no move may fail.
            carried = mover_.fill(*to, to->start + span->bytes()) && mover_.carry(*span, *to);
            if (!carried) lose(to);
        } else {
            std::memcpy(to->start, span->start, span->bytes());
            // Their pages are there now, and no longer zero.
            std::memset(pages::page_map.warm(to->start), 1, span->granules);
            carried = true;
        }
    }
    to->offset = span->offset;
    to->requested = span->requested;
    live_ -= span->bytes();
    span->stamp = now;
    free_.add(span);
    make_live(to);
    hold_to_bounds();
    if (cached() > cached_limit_) shrink_cache();
    return to;
}

void SpanBank::shrink(Span* span, std::size_t bytes) noexcept {
    const std::size_t granules = granules_for(bytes);
    if (granules >= span->granules || !records_.reserve(1)) return;
    Span* const tail = records_.take();
    tail->start = span->start + (granules << granule_shift);
    tail->granules = span->granules - granules;
    tail->last_of_region = span->last_of_region;
    tail->stamp = settle();
    span->granules = granules;
    span->last_of_region = false;
    span->zero_bytes = 0;
    live_ -= tail->bytes();
    free_.add(tail);
    if (cached() > cached_limit_) shrink_cache();
}

}  // namespace numpool::pools
