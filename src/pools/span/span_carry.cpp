// The mover's other half: contents of live spans, advice, and the smoothing of seams.
#include <algorithm>
#include <cstring>

#include "pools/span/seams.hpp"
#include "pools/span/span_mover.hpp"

namespace numpool::pools {

using pages::huge_page;
using pages::Moved;
using pages::page_map;

namespace {

std::byte* at(std::byte* start, std::size_t granules) noexcept {
    return start + (granules << pages::granule_shift);
}

std::size_t granules_between(const std::byte* start, const std::byte* end) noexcept {
    return static_cast<std::size_t>(end - start) >> pages::granule_shift;
}

/// Granules from here on that lie in one mapping, as far as is known.
std::size_t in_one_mapping(const std::byte* start, std::size_t granules) noexcept {
    std::size_t count = 1;
    while (count < granules && !seams::at(start + (count << pages::granule_shift))) ++count;
    return count;
}

}  // namespace

/// Contents that cannot be moved in one piece are moved by units, and what of these cannot be moved
/// is copied.
Moved SpanMover::carry_piece(std::byte* from, std::byte* to, std::size_t granules) noexcept {
    const bool may = moves_ && seams::count() < most_seams;
    const Moved moved = may ? move(from, to, granules) : Moved::refused;
    if (moved == Moved::done) std::memset(page_map.warm(from), 0, granules);
    if (moved != Moved::refused) return moved;
    if (may && granules > unit_granules) {
        for (std::size_t done = 0; done < granules; done += unit_granules) {
            const Moved part =
                carry_piece(at(from, done), at(to, done), std::min(unit_granules, granules - done));
            if (part == Moved::lost) return part;
        }
        return Moved::done;
    }
    std::memcpy(to, from, granules << pages::granule_shift);
    std::memset(page_map.warm(to), 1, granules);
    return Moved::done;
}

bool SpanMover::carry(Span& from, Span& to) noexcept {
    for (std::size_t done = 0; done < from.granules;) {
        std::byte* const piece = at(from.start, done);
        const std::size_t granules = in_one_mapping(piece, from.granules - done);
        if (carry_piece(piece, at(to.start, done), granules) != Moved::lost) {
            done += granules;
            continue;
        }
        // What went already comes back by copying: the moved granules are the cold ones.
        for (std::size_t i = 0; i < from.granules; ++i) {
            if (*page_map.warm(at(from.start, i)) != 0) continue;
            std::memcpy(at(from.start, i), at(to.start, i), pages::granule);
            *page_map.warm(at(from.start, i)) = 1;
        }
        return false;
    }
    return true;
}

void SpanMover::advise(const Span& span, bool small_too) noexcept {
    const bool small = span.granules < unit_granules;
    if (small && !(small_too && advises_)) {
        for (std::byte* unit = unit_to(span.start); unit < span.end(); unit += huge_page)
            calm(unit);
        return;
    }
    if (!advises_) return;
    // A region is made of whole units, so those that a small span shares with others are in it.
    std::byte* const last = small ? unit_from(span.end()) : unit_to(span.end());
    for (std::byte* unit = small ? unit_to(span.start) : unit_from(span.start); unit < last;) {
        std::byte* end = unit;
        while (end < last && !seams::advised(end)) end += huge_page;
        if (end != unit &&
            source_.advise_huge({unit, static_cast<std::size_t>(end - unit)}, true)) {
            // Mappings that were advised alike are one, if they touch.
            // What lies before a small span's unit may be no region at all, so that is not asked.
            const bool edge = small || (unit == span.start && span.first_of_region);
            if (edge || !seams::advised(unit - huge_page)) seams::set(unit);
            if (end == last && !seams::advised(end)) seams::set(end);
            for (std::byte* each = unit; each < end; each += huge_page) {
                seams::set_advised(each, true);
            }
        }
        unit = end + huge_page;
    }
}

/// A small span must not cost a huge page: takes the advice for a unit back, unless all of its
/// pages are there anyway.
void SpanMover::calm(std::byte* unit) noexcept {
    if (!seams::advised(unit)) return;
    const pages::Extent extent{unit, huge_page};
    const std::size_t warm = warm_granules(unit, unit_granules);
    if (warm == unit_granules) return;
    const bool unused = warm == 0;
    if (!(unused ? source_.renew(extent) : source_.advise_huge(extent, false))) return;
    if (unused) seams::smooth(unit, unit_granules);
    seams::set(unit);
    seams::set(unit + huge_page);
    seams::set_advised(unit, false);
}

void SpanMover::smooth(std::byte* start, std::size_t granules) noexcept {
    std::byte* const last = unit_to(at(start, granules));
    for (std::byte* unit = unit_from(start); unit < last; unit += huge_page) {
        std::byte* end = unit;
        while (end < last && warm_granules(end, unit_granules) == 0) end += huge_page;
        const std::size_t cold = granules_between(unit, end);
        if (cold != 0 && seams::inside(unit, cold) &&
            source_.renew({unit, static_cast<std::size_t>(end - unit)})) {
            seams::smooth(unit, cold);
            for (std::byte* each = unit; each < end; each += huge_page) {
                seams::set_advised(each, false);
            }
        }
        if (end != unit) unit = end - huge_page;
    }
}

}  // namespace numpool::pools
