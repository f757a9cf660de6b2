#include "pools/span/free_spans.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/size.hpp"

namespace numpool::pools {
namespace {

using pages::granule;
using pages::page_map;

/// Once a place is found, no more spans than this are searched for a better one.
constexpr std::size_t candidates = 64;

std::byte* at(std::byte* start, std::size_t granules) noexcept {
    return start + (granules << pages::granule_shift);
}

/// The free span whose first or last granule this is, or null.
Span* free_span_at(const std::byte* address) noexcept {
    // A granule with a tag is in use, and its note may be a slab.
    if (page_map.tag(address) != 0) return nullptr;
    auto* const span = static_cast<Span*>(page_map.note(address));
    return span != nullptr && span->state == Span::State::free ? span : nullptr;
}

void note_ends(const Span* span, Span* note) noexcept {
    page_map.set({span->start, granule}, 0, note);
    page_map.set({span->end() - granule, granule}, 0, note);
}

}  // namespace

std::size_t warm_granules(const std::byte* start, std::size_t granules) noexcept {
    const std::uint8_t* const warm = page_map.warm(start);
    std::size_t sum = 0;
    std::size_t i = 0;
    // Eight at a time. Each byte is 0 or 1, so 255 words can be added before a byte overflows.
    constexpr std::size_t word = sizeof(std::uint64_t);
    while (granules - i >= word) {
        const std::size_t words = std::min<std::size_t>((granules - i) / word, 255);
        std::uint64_t bytes = 0;
        for (std::size_t end = i + words * word; i < end; i += word) {
            std::uint64_t eight;
            std::memcpy(&eight, warm + i, word);
            bytes += eight;
        }
        // Adds neighbouring bytes; then the product's highest sixteen bits are the sum of the four.
        const std::uint64_t pairs =
            (bytes & 0x00ff00ff00ff00ff) + (bytes >> 8 & 0x00ff00ff00ff00ff);
        sum += static_cast<std::size_t>(pairs * 0x0001000100010001 >> 48);
    }
    for (; i < granules; ++i) sum += warm[i];
    return sum;
}

void FreeSpans::link_idle(Span* span) noexcept {
    span->newer = nullptr;
    span->older = newest_;
    (newest_ == nullptr ? oldest_ : newest_->newer) = span;
    newest_ = span;
}

void FreeSpans::unlink_idle(Span* span) noexcept {
    (span->older == nullptr ? oldest_ : span->older->newer) = span->newer;
    (span->newer == nullptr ? newest_ : span->newer->older) = span->older;
    span->older = span->newer = nullptr;
}

void FreeSpans::link(Span* span) noexcept {
    span->state = Span::State::free;
    note_ends(span, span);
    bins_.insert(span);
    warm_ += span->warm;
    if (span->warm != 0) link_idle(span);
}

void FreeSpans::unlink(Span* span) noexcept {
    bins_.remove(span);
    warm_ -= span->warm;
    if (span->warm != 0) unlink_idle(span);
}

void FreeSpans::add_region(Span* span) noexcept {
    link(span);
}

Span* FreeSpans::add(Span* span) noexcept {
    page_map.set({span->start, span->bytes()}, 0, nullptr);
    span->warm = warm_granules(span->start, span->granules);
    Span* const before = span->first_of_region ? nullptr : free_span_at(span->start - 1);
    Span* const behind = span->last_of_region ? nullptr : free_span_at(span->end());
    // The last use of the merged span is that of its largest part. So a small part neither keeps a
    // large one from decaying nor makes it decay.
    std::size_t largest = span->warm;
    for (Span* const other : {before, behind}) {
        if (other == nullptr) continue;
        unlink(other);
        if (other->warm > largest) {
            largest = other->warm;
            span->stamp = other->stamp;
        }
        span->warm += other->warm;
        span->granules += other->granules;
    }
    if (before != nullptr) {
        span->start = before->start;
        span->first_of_region = before->first_of_region;
        records_.free(before);
    }
    if (behind != nullptr) {
        span->last_of_region = behind->last_of_region;
        records_.free(behind);
    }
    link(span);
    return span;
}

Span* FreeSpans::carve(Span* span, std::byte* start, std::size_t granules) noexcept {
    unlink(span);
    const auto before = static_cast<std::size_t>(start - span->start) >> pages::granule_shift;
    const std::size_t behind = span->granules - before - granules;
    // Count only the small parts: the rest behind the place may be very large.
    const std::size_t warm_before = span->warm == 0 ? 0 : warm_granules(span->start, before);
    const std::size_t warm_carved = span->warm == 0 ? 0 : warm_granules(start, granules);
    Span* const carved = records_.allocate();
    carved->start = start;
    carved->granules = granules;
    carved->stamp = span->stamp;
    carved->first_of_region = span->first_of_region && before == 0;
    carved->last_of_region = span->last_of_region && behind == 0;
    if (behind != 0) {
        Span* const rest = records_.allocate();
        rest->start = carved->end();
        rest->granules = behind;
        rest->stamp = span->stamp;
        rest->last_of_region = span->last_of_region;
        rest->warm = span->warm - warm_before - warm_carved;
        link(rest);
    }
    if (before != 0) {
        span->granules = before;
        span->last_of_region = false;
        span->warm = warm_before;
        link(span);
    } else {
        records_.free(span);
    }
    // Its ends still note the span that it was carved from. A neighbour that becomes free would
    // merge with that.
    note_ends(carved, nullptr);
    return carved;
}

void FreeSpans::carve_front(Span* span, std::size_t granules) noexcept {
    const bool stays = bins_.stays(*span, span->granules - granules);
    if (!stays) bins_.remove(span);
    span->start = at(span->start, granules);
    span->granules -= granules;
    span->first_of_region = false;
    if (!stays) bins_.insert(span);
    page_map.set({span->start, granule}, 0, span);
    span->warm -= granules;
    warm_ -= granules;
    if (span->warm == 0) unlink_idle(span);
}

/// The place in a span for a request of a unit or more: its front; or, if `cold`, its end if that
/// has fewer pages.
FreeSpans::Fit FreeSpans::place_units(Span* span, std::size_t granules, bool cold) const noexcept {
    std::byte* const start = unit_from(span->start);
    const auto skipped = static_cast<std::size_t>(start - span->start) >> pages::granule_shift;
    if (skipped > span->granules || span->granules - skipped < granules) return {};
    if (span->warm == 0) return {span, start, 0};
    if (span->warm == span->granules) return {span, start, granules};
    const Fit front{span, start, warm_granules(start, granules)};
    if (!cold || front.warm == 0) return front;
    std::byte* const last = unit_to(span->end() - (granules << pages::granule_shift));
    const Fit end{span, last, warm_granules(last, granules)};
    return end.warm < front.warm ? end : front;
}

/// The place in a span for a smaller request: the first run of warm granules that is long enough,
/// or the front if there is none nearby.
FreeSpans::Fit FreeSpans::place_small(Span* span, std::size_t granules) const noexcept {
    if (span->warm == 0) return {span, span->start, 0};
    if (span->warm == span->granules) return {span, span->start, granules};
    const std::uint8_t* const warm = page_map.warm(span->start);
    const std::size_t looked_at = std::min<std::size_t>(span->granules, 512);
    for (std::size_t i = 0, run = 0; i < looked_at; ++i) {
        run = warm[i] != 0 ? run + 1 : 0;
        if (run == granules) return {span, at(span->start, i + 1 - granules), granules};
    }
    return {span, span->start, warm_granules(span->start, granules)};
}

FreeSpans::Fit FreeSpans::best_fit(std::size_t granules, bool cold) const noexcept {
    Fit best;
    std::size_t seen = 0;
    const auto better = [&](const Fit& fit) {
        if (best.span == nullptr) return true;
        if (fit.warm != best.warm) return cold ? fit.warm < best.warm : fit.warm > best.warm;
        return fit.span->granules < best.span->granules;
    };
    const std::size_t ideal = cold ? 0 : granules;
    for (std::size_t bin = bins_.next_nonempty(SpanBins::bin_of(granules)); bin < SpanBins::count;
         bin = bins_.next_nonempty(bin + 1)) {
        for (Span* span = bins_.first(bin); span != nullptr; span = span->next) {
            if (span->granules < granules) continue;
            const Fit fit = granules < unit_granules ? place_small(span, granules)
                                                     : place_units(span, granules, cold);
            if (fit.span != nullptr && better(fit)) best = fit;
            if (++seen >= candidates && best.span != nullptr) return best;
        }
        if (best.span != nullptr && best.warm == ideal) return best;
    }
    return best;
}

Span* FreeSpans::starting_at(const std::byte* start) const noexcept {
    Span* const span = free_span_at(start);
    return span != nullptr && span->start == start ? span : nullptr;
}

void FreeSpans::cool(Span* span, std::byte* start, std::size_t granules) noexcept {
    const std::size_t cooled = warm_granules(start, granules);
    if (cooled == 0) return;
    std::memset(page_map.warm(start), 0, granules);
    span->warm -= cooled;
    warm_ -= cooled;
    if (span->warm == 0) unlink_idle(span);
}

void FreeSpans::warm_up(Span* span, std::size_t granules_more) noexcept {
    if (span->warm == 0 && granules_more != 0) link_idle(span);
    span->warm += granules_more;
    warm_ += granules_more;
}

bool FreeSpans::holds(const Span& span) const noexcept {
    bool in_bin = false;
    for (const Span* at_bin = bins_.first(SpanBins::bin_of(span.granules)); at_bin != nullptr;
         at_bin = at_bin->next) {
        in_bin = in_bin || at_bin == &span;
    }
    bool idle = false;
    for (const Span* at_idle = oldest_; at_idle != nullptr; at_idle = at_idle->newer) {
        idle = idle || at_idle == &span;
    }
    return in_bin && idle == (span.warm != 0);
}

}  // namespace numpool::pools
