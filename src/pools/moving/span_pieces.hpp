#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "pools/span/free_spans.hpp"

namespace numpool::pools {

/// Granules of a free span that have pages and lie in one mapping: they can move.
struct SpanPiece {
    Span* span = nullptr;
    std::byte* start = nullptr;
    std::size_t granules = 0;
};

/// The warm granules of free spans that make up no whole unit, by the size of their runs. Right for
/// as long as nothing moves that was not taken from here.
class SpanPieces {
  public:
    /// Forgets all pieces and looks for those there are now.
    void gather(const FreeSpans& free) noexcept;

    /// Notes one more, of a unit's size at the most.
    void note(const SpanPiece& piece) noexcept;

    /// Takes the largest piece of `from` granules or fewer, or the smallest of `from` or more,
    /// whichever way `to` lies: it is the last size looked for. False where there is none.
    bool take(std::size_t from, std::size_t to, SpanPiece& piece) noexcept;

  private:
    void gather_from(Span* span, std::byte* start, std::size_t granules) noexcept;

    std::array<std::vector<SpanPiece>, unit_granules + 1> by_size_;
};

}  // namespace numpool::pools
