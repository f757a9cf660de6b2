#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "pools/span/free_spans.hpp"

namespace numpool::pools {

/// A run of warm granules of a free span in one mapping. It can move at once.
struct SpanPiece {
    Span* span = nullptr;
    std::byte* start = nullptr;
    std::size_t granules = 0;
};

/// The runs of warm granules of free spans that are no whole unit, by size. They are valid while
/// only pieces that were popped from here move.
class SpanPieces {
  public:
    /// Replaces all pieces by those that there are now.
    void gather(const FreeSpans& free) noexcept;

    /// Adds a piece of at most a unit.
    void add(const SpanPiece& piece) noexcept;

    /// Pops a piece whose size is between `from` and `to`, the nearest to `from`. `to` may be the
    /// smaller one. False if there is none.
    bool pop(std::size_t from, std::size_t to, SpanPiece& piece) noexcept;

  private:
    void gather_from(Span* span, std::byte* start, std::size_t granules) noexcept;

    std::array<std::vector<SpanPiece>, unit_granules + 1> by_size_;
};

}  // namespace numpool::pools
