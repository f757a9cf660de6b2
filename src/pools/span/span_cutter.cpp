#include "pools/span/span_cutter.hpp"

#include <algorithm>
#include <cstring>

namespace numpool::pools {

using pages::page_map;

namespace {

/// A span of fewer granules is left to page faults: they cost less than a move.
constexpr std::size_t least_filled = 4;

/// Records that one request may need: a region, and two for each place that is cut.
constexpr std::size_t records_needed = 8;

}  // namespace

Span* SpanCutter::cut(std::size_t granules, bool cold) noexcept {
    for (;;) {
        if (!records_.reserve(records_needed)) return nullptr;
        FreeSpans::Fit fit = free_.best_fit(granules, cold);
        if (fit.span == nullptr) {
            if (!regions_.add(granules)) return nullptr;
            fit = free_.best_fit(granules, cold);
        }
        Span* const span = free_.cut(fit.span, fit.start, granules);
        const bool fills = !cold && fit.warm != granules && granules >= least_filled;
        if (!fills || fill(*span)) return span;
    }
}

Span* SpanCutter::cut_behind(const Span& span, std::size_t granules) noexcept {
    Span* const next = free_behind(span);
    if (next == nullptr || next->granules < granules || !records_.reserve(2)) return nullptr;
    Span* const part = free_.cut(next, span.end(), granules);
    return fill(*part) ? part : nullptr;
}

bool SpanCutter::take_pages_behind(const Span& span, std::size_t granules) noexcept {
    Span* const next = free_behind(span);
    if (next == nullptr || next->granules <= granules) return false;
    if (warm_granules(next->start, granules) != granules) return false;
    free_.cut_front(next, granules);
    return true;
}

bool SpanCutter::bring(Span& from, Span& to, bool by_moving) noexcept {
    if (by_moving && warm_granules(to.start, to.granules) == 0) {
        // What is new comes first: once the contents are there, no move may fail.
        if (moving_->fill(to, to.start + from.bytes()) && moving_->carry(from, to)) return true;
        lose(to);
        return false;
    }
    std::memcpy(to.start, from.start, from.bytes());
    // Their pages are there now, and no longer zero.
    std::memset(page_map.warm(to.start), 1, from.granules);
    return true;
}

bool SpanCutter::fill(Span& span) noexcept {
    if (moving_ == nullptr || moving_->fill(span, span.start)) return true;
    lose(span);
    return false;
}

Span* SpanCutter::free_behind(const Span& span) const noexcept {
    return span.last_of_region ? nullptr : free_.starting_at(span.end());
}

/// A move lost the addresses of a span, and perhaps some of the unit that reaches behind its end:
/// they are never used again.
void SpanCutter::lose(Span& span) noexcept {
    Span* next = free_behind(span);
    if (next != nullptr) {
        const std::size_t behind = std::min(next->granules, unit_granules);
        if (records_.reserve(2)) {
            next = free_.cut(next, next->start, behind);
        } else {
            free_.remove(next);
        }
    }
    for (Span* const lost : {&span, next}) {
        if (lost == nullptr) continue;
        lost->state = Span::State::lost;
        page_map.mark({lost->start, lost->bytes()}, 0, lost);
        std::memset(page_map.warm(lost->start), 1, lost->granules);
    }
}

}  // namespace numpool::pools
