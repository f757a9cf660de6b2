#include "pools/moving/span_pieces.hpp"

#include <algorithm>
#include <new>

#include "pools/span/seams.hpp"

namespace numpool::pools {
namespace {

/// `gather` looks at no more granules.
constexpr std::size_t granules_looked_at = std::size_t{1} << 16;

std::byte* at(std::byte* start, std::size_t granules) noexcept {
    return start + (granules << pages::granule_shift);
}

}  // namespace

void SpanPieces::gather(const FreeSpans& free) noexcept {
    for (auto& pieces : by_size_) pieces.clear();
    std::size_t budget = granules_looked_at;
    for (Span* span = free.oldest(); span != nullptr && budget != 0; span = span->newer) {
        for (std::byte* start = span->start; start < span->end() && budget != 0;) {
            std::byte* const end = std::min(unit_to(start) + pages::huge_page, span->end());
            const auto granules = static_cast<std::size_t>(end - start) >> pages::granule_shift;
            budget -= std::min(budget, granules);
            if (granules != unit_granules || !seams::is_whole(start, unit_granules)) {
                gather_from(span, start, granules);
            }
            start = end;
        }
    }
}

void SpanPieces::gather_from(Span* span, std::byte* start, std::size_t granules) noexcept {
    std::size_t run = 0;
    for (std::size_t i = 0; i <= granules; ++i) {
        std::byte* const here = at(start, i);
        const bool warm = i < granules && *pages::page_map.warm(here) != 0;
        if (run != 0 && (!warm || seams::at(here))) {
            add({span, at(start, i - run), run});
            run = 0;
        }
        if (warm) ++run;
    }
}

void SpanPieces::add(const SpanPiece& piece) noexcept {
    try {
        by_size_[piece.granules].push_back(piece);
    } catch (const std::bad_alloc&) {
        // This piece does not move.
    }
}

bool SpanPieces::pop(std::size_t from, std::size_t to, SpanPiece& piece) noexcept {
    for (std::size_t size = from;; size < to ? ++size : --size) {
        if (!by_size_[size].empty()) {
            piece = by_size_[size].back();
            by_size_[size].pop_back();
            return true;
        }
        if (size == to) return false;
    }
}

}  // namespace numpool::pools
