#include "pools/span_mover.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/size.hpp"
#include "pools/seams.hpp"

namespace numpool::pools {

using pages::huge_page;
using pages::Moved;
using pages::page_map;

namespace {

/// Free spans looked through for pages to move.
constexpr std::size_t spans_looked_at = 256;
/// A unit with fewer warm granules is not worth a move.
constexpr std::size_t half_unit = unit_granules / 2;
/// A tail of fewer granules is left to page faults rather than given a whole unit.
constexpr std::size_t least_tail = 8;

std::byte* at(std::byte* start, std::size_t granules) noexcept {
    return start + (granules << pages::granule_shift);
}

std::size_t granules_between(const std::byte* start, const std::byte* end) noexcept {
    return static_cast<std::size_t>(end - start) >> pages::granule_shift;
}

bool unit_is_whole(std::byte* unit, std::size_t least_warm) noexcept {
    return warm_granules(unit, unit_granules) >= least_warm && !seams::inside(unit, unit_granules);
}

}  // namespace

/// Pages that could move: granules of a free span.
struct SpanMover::Source {
    Span* span = nullptr;
    std::byte* start = nullptr;
    std::size_t granules = 0;
};

bool SpanMover::may_move() noexcept {
    if (moves_ && seams::count() > smooth_from_) {
        free_.for_each([this](Span& span) { smooth(span.start, span.granules); });
        smooth_from_ = std::max(most_seams / 2, seams::count() + most_seams / 16);
    }
    return moves_ && seams::count() < most_seams && free_.warm() != 0;
}

/// Moves pages, and what is known of them.
Moved SpanMover::move(std::byte* from, std::byte* to, std::size_t granules) noexcept {
    const std::size_t bytes = granules << pages::granule_shift;
    const Moved result = source_.move({from, bytes}, to);
    if (result == Moved::lost) moves_ = false;
    if (result != Moved::done) return result;
    std::memcpy(page_map.warm(to), page_map.warm(from), granules);
    seams::moved(from, to, granules);
    moved_ += granules;
    return result;
}

/// The free span idle for longest that has whole units with pages, as many as are wanted and lie in
/// one mapping.
bool SpanMover::find_units(std::size_t units, std::size_t least_warm,
                           Source& source) const noexcept {
    std::size_t seen = 0;
    for (Span* span = free_.oldest(); span != nullptr; span = span->newer) {
        if (++seen > spans_looked_at) return false;
        if (span->warm < least_warm) continue;
        for (std::byte* unit = unit_from(span->start); at(unit, unit_granules) <= span->end();
             unit += huge_page) {
            if (!unit_is_whole(unit, least_warm)) continue;
            std::byte* end = unit + huge_page;
            while (end + huge_page <= span->end() && !seams::at(end) &&
                   static_cast<std::size_t>(end - unit) < units * huge_page &&
                   unit_is_whole(end, least_warm)) {
                end += huge_page;
            }
            source = {span, unit, granules_between(unit, end)};
            return true;
        }
    }
    return false;
}

/// Moves units of free spans to `units` cold ones. False where addresses were lost.
bool SpanMover::move_units(std::byte* to, std::size_t units) noexcept {
    for (const std::size_t least_warm : {unit_granules, half_unit}) {
        Source source;
        while (units != 0 && seams::count() < most_seams && find_units(units, least_warm, source)) {
            Moved moved = move(source.start, to, source.granules);
            if (moved == Moved::refused && source.granules > unit_granules) {
                source.granules = unit_granules;
                moved = move(source.start, to, source.granules);
            }
            if (moved == Moved::lost) return false;
            if (moved == Moved::refused) {
                // It may be two mappings, for reasons of the user's: not to be tried again.
                seams::set(source.start + pages::granule);
                if (++refusals_ >= most_refusals) moves_ = false;
                if (!moves_) return true;
                continue;
            }
            free_.cool(source.span, source.start, source.granules);
            to = at(to, source.granules);
            units -= source.granules / unit_granules;
        }
    }
    return true;
}

/// Pages from the ends of a free span, where they fill no unit.
bool SpanMover::find_crumb(std::size_t granules, Source& source) const noexcept {
    std::size_t seen = 0;
    for (Span* span = free_.oldest(); span != nullptr; span = span->newer) {
        if (++seen > spans_looked_at) return false;
        if (span->warm < granules) continue;
        std::byte* const units = std::min(unit_from(span->start), span->end());
        std::byte* const behind = std::max(unit_to(span->end()), units);
        for (const auto& [start, end] : {std::pair{span->start, units}, {behind, span->end()}}) {
            const std::size_t size = granules_between(start, end);
            for (std::size_t i = 0, run = 0; i < size; ++i) {
                std::byte* const here = at(start, i);
                const bool warm = *page_map.warm(here) != 0;
                run = !warm ? 0 : seams::at(here) ? 1 : run + 1;
                if (run < granules) continue;
                source = {span, at(start, i + 1 - granules), granules};
                return true;
            }
        }
    }
    return false;
}

bool SpanMover::move_crumb(std::byte* to, std::size_t granules) noexcept {
    Source source;
    if (granules == 0 || !find_crumb(granules, source)) return true;
    const Moved moved = move(source.start, to, granules);
    if (moved == Moved::done) free_.cool(source.span, source.start, granules);
    return moved != Moved::lost;
}

/// The last unit of a span, of which only the front is its own: a whole unit may move there if
/// what is behind the span is free and cold. False where addresses were lost.
bool SpanMover::fill_tail(Span& span, std::byte* tail) noexcept {
    const std::size_t granules = granules_between(tail, span.end());
    if (!move_crumb(tail, granules)) return false;
    if (granules < least_tail || *page_map.warm(tail) != 0 || span.last_of_region) return true;
    Span* const next = free_.starting_at(span.end());
    std::byte* const end = tail + huge_page;
    if (next == nullptr || next->end() < end) return true;
    const std::size_t beyond = granules_between(span.end(), end);
    if (warm_granules(span.end(), beyond) != 0) return true;
    if (!move_units(tail, 1)) return false;
    free_.warm_up(next, warm_granules(span.end(), beyond));
    return true;
}

bool SpanMover::fill(Span& span, std::byte* from) noexcept {
    for (std::byte* start = from; start < span.end();) {
        if (*page_map.warm(start) != 0) {
            start += pages::granule;
            continue;
        }
        std::byte* end = start;
        while (end < span.end() && *page_map.warm(end) == 0) end += pages::granule;
        if (!may_move()) return true;
        std::byte* const units = std::min(unit_from(start), end);
        std::byte* const behind = std::max(unit_to(end), units);
        if (!move_crumb(start, granules_between(start, units))) return false;
        if (!move_units(units, granules_between(units, behind) / unit_granules)) return false;
        if (behind != end) {
            const bool tail = end == span.end() && unit_from(behind) == behind;
            if (!(tail ? fill_tail(span, behind)
                       : move_crumb(behind, granules_between(behind, end)))) {
                return false;
            }
        }
        start = end;
    }
    return true;
}

}  // namespace numpool::pools
