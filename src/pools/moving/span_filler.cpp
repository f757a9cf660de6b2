#include "pools/moving/span_filler.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/size.hpp"
#include "pools/span/seams.hpp"

namespace numpool::pools {

using pages::huge_page;
using pages::Moved;
using pages::page_map;

namespace {

/// `find_units` searches at most this many free spans.
constexpr std::size_t spans_looked_at = 256;
/// Units with fewer warm granules do not move.
constexpr std::size_t half_unit = unit_granules / 2;

std::byte* at(std::byte* start, std::size_t granules) noexcept {
    return start + (granules << pages::granule_shift);
}

std::size_t granules_between(const std::byte* start, const std::byte* end) noexcept {
    return static_cast<std::size_t>(end - start) >> pages::granule_shift;
}

}  // namespace

/// Finds up to `units` adjacent units in one mapping, each with at least `least_warm` warm
/// granules, in the free span whose last use is oldest. False if there is none.
bool SpanFiller::find_units(std::size_t units, std::size_t least_warm,
                            SpanPiece& source) const noexcept {
    std::size_t seen = 0;
    for (Span* span = free_.oldest(); span != nullptr; span = span->newer) {
        if (++seen > spans_looked_at) return false;
        if (span->warm < least_warm) continue;
        for (std::byte* unit = unit_from(span->start); at(unit, unit_granules) <= span->end();
             unit += huge_page) {
            if (!seams::is_whole(unit, least_warm)) continue;
            std::byte* end = unit + huge_page;
            while (end + huge_page <= span->end() && !seams::at(end) &&
                   static_cast<std::size_t>(end - unit) < units * huge_page &&
                   seams::is_whole(end, least_warm)) {
                end += huge_page;
            }
            source = {span, unit, granules_between(unit, end)};
            return true;
        }
    }
    return false;
}

/// Moves units of free spans to `units` cold ones. False if a move lost addresses.
bool SpanFiller::move_units(std::byte* to, std::size_t units) noexcept {
    for (const std::size_t least_warm : {unit_granules, half_unit}) {
        SpanPiece source;
        while (units != 0 && mover_.has_room() && find_units(units, least_warm, source)) {
            Moved moved = mover_.move(source.start, to, source.granules);
            if (moved == Moved::refused && source.granules > unit_granules) {
                source.granules = unit_granules;
                moved = mover_.move(source.start, to, source.granules);
            }
            if (moved == Moved::lost) return false;
            if (moved == Moved::refused) {
                mover_.note_refused(source.start);
                if (!mover_.moves()) return true;
                continue;
            }
            free_.cool(source.span, source.start, source.granules);
            to = at(to, source.granules);
            units -= source.granules / unit_granules;
        }
    }
    return true;
}

/// Moves a piece to the first of `granules` cold ones at `to`, which then are those behind it.
Moved SpanFiller::move_piece(const SpanPiece& source, std::byte*& to,
                             std::size_t& granules) noexcept {
    const Moved moved = mover_.move(source.start, to, source.granules);
    if (moved != Moved::done) return moved;
    free_.cool(source.span, source.start, source.granules);
    to = at(to, source.granules);
    granules -= source.granules;
    return moved;
}

/// Moves whole pieces to `granules` cold ones, the largest first. False if a move lost addresses.
bool SpanFiller::move_pieces(std::byte* to, std::size_t granules) noexcept {
    SpanPiece source;
    while (granules != 0 && mover_.may_move_free() &&
           pieces_.pop(std::min(granules, unit_granules), 1, source)) {
        const Moved moved = move_piece(source, to, granules);
        if (moved != Moved::done) return moved == Moved::refused;
    }
    return true;
}

/// Moves parts of pieces, or of a unit, to where no whole piece fits. Each split adds a mapping.
/// False if a move lost addresses.
bool SpanFiller::move_parts(std::byte* to, std::size_t granules) noexcept {
    SpanPiece source;
    while (granules != 0 && mover_.may_move_free()) {
        const std::size_t wanted = std::min(granules, unit_granules);
        if (!pieces_.pop(wanted, unit_granules, source) && !find_units(1, unit_granules, source) &&
            !pieces_.pop(wanted, 1, source)) {
            return true;
        }
        const std::size_t rest = source.granules - std::min(source.granules, wanted);
        if (rest != 0) pieces_.add({source.span, source.start, rest});
        source.start = at(source.start, rest);
        source.granules -= rest;
        const Moved moved = move_piece(source, to, granules);
        if (moved != Moved::done) return moved == Moved::refused;
    }
    return true;
}

/// If a span ends in cold granules, moves a whole unit or piece there. It may reach beyond the
/// span's end if the granules there are free and cold. False if a move lost addresses.
bool SpanFiller::fill_tail(Span& span, std::byte* from) noexcept {
    std::byte* tail = span.end();
    while (tail > from && *page_map.warm(tail - 1) == 0) tail -= pages::granule;
    const std::size_t granules = granules_between(tail, span.end());
    Span* const next = span.last_of_region ? nullptr : free_.starting_at(span.end());
    if (granules == 0 || granules > unit_granules || next == nullptr || !mover_.may_move_free())
        return true;
    std::size_t room = 0;
    while (granules + room < unit_granules && room < next->granules &&
           *page_map.warm(at(span.end(), room)) == 0) {
        ++room;
    }
    SpanPiece source;
    const bool unit = unit_to(tail) == tail && granules + room == unit_granules;
    if (!pieces_.pop(granules, granules + room, source) &&
        !(unit && find_units(1, unit_granules, source))) {
        return true;
    }
    const Moved moved = mover_.move(source.start, tail, source.granules);
    if (moved != Moved::done) return moved == Moved::refused;
    free_.cool(source.span, source.start, source.granules);
    free_.warm_up(next, source.granules - granules);
    return true;
}

bool SpanFiller::fill(Span& span, std::byte* from) noexcept {
    const auto with_units = [this](std::byte* start, std::byte* end) {
        std::byte* const first = unit_from(start);
        std::byte* const last = unit_to(end);
        return first >= last || move_units(first, granules_between(first, last) / unit_granules);
    };
    // With huge pages one fault brings a whole unit. To put units together from pieces would be no
    // faster, and would add mappings for ever.
    const auto around_units = [this](std::byte* start, std::byte* end, auto move_to) {
        std::byte* const first = huge_pages_ ? std::min(unit_from(start), end) : end;
        std::byte* const last = std::max(unit_to(end), first);
        return (this->*move_to)(start, granules_between(start, first)) &&
               (this->*move_to)(last, granules_between(last, end));
    };
    const auto with_pieces = [&](std::byte* start, std::byte* end) {
        return around_units(start, end, &SpanFiller::move_pieces);
    };
    const auto with_parts = [&](std::byte* start, std::byte* end) {
        return around_units(start, end, &SpanFiller::move_parts);
    };
    // Units first, because they move fastest; then pieces, which are of no other use; last parts,
    // because they add mappings.
    if (!mover_.may_move_free()) return true;
    if (!fill_cold(span, from, with_units)) return false;
    if (warm_granules(span.start, span.granules) == span.granules) return true;
    pieces_.gather(free_);
    return fill_cold(span, from, with_pieces) && fill_tail(span, from) &&
           fill_cold(span, from, with_parts);
}

/// Calls `fill_run(start, end)` for each run of cold granules. Stops and returns false if that
/// does.
template <class FillRun>
bool SpanFiller::fill_cold(Span& span, std::byte* from, FillRun fill_run) noexcept {
    for (std::byte* start = from; start < span.end();) {
        std::byte* end = start;
        while (end < span.end() && *page_map.warm(end) == 0) end += pages::granule;
        if (end == start) {
            start += pages::granule;
            continue;
        }
        if (!mover_.may_move_free()) return true;
        if (!fill_run(start, end)) return false;
        start = end;
    }
    return true;
}

}  // namespace numpool::pools
