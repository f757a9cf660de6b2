#include "pools/moving/page_mover.hpp"

#include <algorithm>
#include <cstring>

#include "pools/span/seams.hpp"

namespace numpool::pools {

using pages::huge_page;
using pages::Moved;
using pages::page_map;

Moved PageMover::move(std::byte* from, std::byte* to, std::size_t granules) noexcept {
    const std::size_t bytes = granules << pages::granule_shift;
    const Moved result = source_.move({from, bytes}, to);
    if (result == Moved::lost) moves_ = false;
    if (result != Moved::done) return result;
    std::memcpy(page_map.warm(to), page_map.warm(from), granules);
    seams::moved(from, to, granules);
    moved_ += granules;
    return result;
}

void PageMover::note_refused(std::byte* unit) noexcept {
    seams::set(unit + pages::granule);
    if (++refusals_ >= most_refusals) moves_ = false;
}

bool PageMover::has_room() const noexcept {
    return moves_ && seams::count() < most_seams;
}

bool PageMover::may_move_free() noexcept {
    if (moves_ && seams::count() > smooth_from_) {
        free_.for_each([this](Span& span) { smooth(span.start, span.granules); });
        smooth_from_ = std::max(most_seams / 2, seams::count() + most_seams / 16);
    }
    return has_room() && free_.warm() != 0;
}

/// Removes the seams in the units of a free span that have no pages.
void PageMover::smooth(std::byte* start, std::size_t granules) noexcept {
    std::byte* const last = unit_to(start + (granules << pages::granule_shift));
    for (std::byte* unit = unit_from(start); unit < last; unit += huge_page) {
        std::byte* end = unit;
        while (end < last && warm_granules(end, unit_granules) == 0) end += huge_page;
        if (end == unit) continue;
        const auto bytes = static_cast<std::size_t>(end - unit);
        const std::size_t cold = bytes >> pages::granule_shift;
        if (seams::inside(unit, cold) && source_.renew({unit, bytes})) {
            seams::smooth(unit, cold);
            for (std::byte* each = unit; each < end; each += huge_page) {
                seams::set_advised(each, false);
            }
        }
        unit = end - huge_page;
    }
}

}  // namespace numpool::pools
