#include "pools/moving/content_mover.hpp"

#include <algorithm>
#include <cstring>

#include "pools/span/seams.hpp"

namespace numpool::pools {

using pages::Moved;
using pages::page_map;

namespace {

std::byte* at(std::byte* start, std::size_t granules) noexcept {
    return start + (granules << pages::granule_shift);
}

/// The number of granules from here on that lie in one mapping, as far as is known.
std::size_t in_one_mapping(const std::byte* start, std::size_t granules) noexcept {
    std::size_t count = 1;
    while (count < granules && !seams::at(start + (count << pages::granule_shift))) ++count;
    return count;
}

}  // namespace

/// Moves the piece at once. If that is refused, it moves unit by unit, and copies the units that
/// cannot move.
Moved ContentMover::move_piece(std::byte* from, std::byte* to, std::size_t granules) noexcept {
    const bool may = mover_.has_room();
    const Moved moved = may ? mover_.move(from, to, granules) : Moved::refused;
    if (moved == Moved::done) std::memset(page_map.warm(from), 0, granules);
    if (moved != Moved::refused) return moved;
    if (may && granules > unit_granules) {
        for (std::size_t done = 0; done < granules; done += unit_granules) {
            const Moved part =
                move_piece(at(from, done), at(to, done), std::min(unit_granules, granules - done));
            if (part == Moved::lost) return part;
        }
        return Moved::done;
    }
    std::memcpy(to, from, granules << pages::granule_shift);
    std::memset(page_map.warm(to), 1, granules);
    return Moved::done;
}

bool ContentMover::move(Span& from, Span& to) noexcept {
    for (std::size_t done = 0; done < from.granules;) {
        std::byte* const piece = at(from.start, done);
        const std::size_t granules = in_one_mapping(piece, from.granules - done);
        if (move_piece(piece, at(to.start, done), granules) != Moved::lost) {
            done += granules;
            continue;
        }
        // Copy back what has moved: these granules are the cold ones.
        for (std::size_t i = 0; i < from.granules; ++i) {
            if (*page_map.warm(at(from.start, i)) != 0) continue;
            std::memcpy(at(from.start, i), at(to.start, i), pages::granule);
            *page_map.warm(at(from.start, i)) = 1;
        }
        return false;
    }
    return true;
}

}  // namespace numpool::pools
