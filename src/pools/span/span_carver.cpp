#include "pools/span/span_carver.hpp"

#include <algorithm>
#include <cstring>

namespace numpool::pools {

using pages::page_map;

namespace {

/// A span of fewer granules gets its pages by page faults, which cost less than a move.
constexpr std::size_t least_filled = 4;

/// The records that one request may need: one for a region, and two for each place that is carved.
constexpr std::size_t records_needed = 8;

}  // namespace

Span* SpanCarver::carve(std::size_t granules, bool cold) noexcept {
    for (;;) {
        if (!records_.ensure(records_needed)) return nullptr;
        FreeSpans::Fit fit = free_.best_fit(granules, cold);
        if (fit.span == nullptr) {
            if (!regions_.add(granules)) return nullptr;
            fit = free_.best_fit(granules, cold);
        }
        Span* const span = free_.carve(fit.span, fit.start, granules);
        if (!commit(*span)) return nullptr;
        const bool fills = !cold && fit.warm != granules && granules >= least_filled;
        if (!fills || fill(*span)) return span;
    }
}

Span* SpanCarver::carve_behind(const Span& span, std::size_t granules) noexcept {
    Span* const next = free_behind(span);
    if (next == nullptr || next->granules < granules || !records_.ensure(2)) return nullptr;
    Span* const part = free_.carve(next, span.end(), granules);
    return commit(*part) && fill(*part) ? part : nullptr;
}

bool SpanCarver::carve_warm_behind(const Span& span, std::size_t granules) noexcept {
    Span* const next = free_behind(span);
    if (next == nullptr || next->granules <= granules) return false;
    if (warm_granules(next->start, granules) != granules) return false;
    free_.carve_front(next, granules);
    return true;
}

bool SpanCarver::move_contents(Span& from, Span& to, bool by_moving) noexcept {
    if (by_moving && warm_granules(to.start, to.granules) == 0) {
        // The rest first: once the contents are there, no move may fail.
        if (moving_->fill(to, to.start + from.bytes()) && moving_->move_contents(from, to))
            return true;
        lose(to);
        return false;
    }
    std::memcpy(to.start, from.start, from.bytes());
    // These granules have pages now.
    std::memset(page_map.warm(to.start), 1, from.granules);
    return true;
}

/// Commits the pages of a place. If that is refused, the place is free again.
bool SpanCarver::commit(Span& span) noexcept {
    if (regions_.commit(span)) [[likely]]
        return true;
    free_.add(&span);
    return false;
}

bool SpanCarver::fill(Span& span) noexcept {
    if (moving_ == nullptr || moving_->fill(span, span.start)) return true;
    lose(span);
    return false;
}

Span* SpanCarver::free_behind(const Span& span) const noexcept {
    return span.last_of_region ? nullptr : free_.starting_at(span.end());
}

/// A move lost the addresses of a span, and perhaps of the last unit's part behind the span's end.
/// They are never used again.
void SpanCarver::lose(Span& span) noexcept {
    Span* next = free_behind(span);
    if (next != nullptr) {
        const std::size_t behind = std::min(next->granules, unit_granules);
        if (records_.ensure(2)) {
            next = free_.carve(next, next->start, behind);
        } else {
            free_.remove(next);
        }
    }
    for (Span* const lost : {&span, next}) {
        if (lost == nullptr) continue;
        lost->state = Span::State::lost;
        page_map.set({lost->start, lost->bytes()}, 0, lost);
        std::memset(page_map.warm(lost->start), 1, lost->granules);
    }
}

}  // namespace numpool::pools
