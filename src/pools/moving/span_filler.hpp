#pragma once

#include <cstddef>

#include "pools/moving/page_mover.hpp"
#include "pools/moving/span_pieces.hpp"

namespace numpool::pools {

/// Moves pages of free spans to the cold granules of a new span. It moves whole units if it can:
/// the kernel moves a unit as fast as one page.
class SpanFiller {
  public:
    SpanFiller(PageMover& mover, FreeSpans& free, bool huge_pages) noexcept
        : mover_{mover}, free_{free}, huge_pages_{huge_pages} {}

    /// As `SpanMoving::fill`.
    bool fill(Span& span, std::byte* from) noexcept;

  private:
    bool move_units(std::byte* to, std::size_t units) noexcept;
    pages::Moved move_piece(const SpanPiece& source, std::byte*& to,
                            std::size_t& granules) noexcept;
    bool move_pieces(std::byte* to, std::size_t granules) noexcept;
    bool move_parts(std::byte* to, std::size_t granules) noexcept;
    bool fill_tail(Span& span, std::byte* from) noexcept;
    bool find_units(std::size_t units, std::size_t least_warm, SpanPiece& source) const noexcept;
    template <class FillRun>
    bool fill_cold(Span& span, std::byte* from, FillRun fill_run) noexcept;

    PageMover& mover_;
    FreeSpans& free_;
    bool huge_pages_;
    /// The pieces of units, gathered for one call of `fill`.
    SpanPieces pieces_;
};

}  // namespace numpool::pools
