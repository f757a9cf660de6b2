#pragma once

#include "pools/moving/page_mover.hpp"

namespace numpool::pools {

/// Moves the contents of live spans.
class SpanCarrier {
  public:
    explicit SpanCarrier(PageMover& mover) noexcept : mover_{mover} {}

    /// As SpanMoving's.
    bool carry(Span& from, Span& to) noexcept;

  private:
    pages::Moved carry_piece(std::byte* from, std::byte* to, std::size_t granules) noexcept;

    PageMover& mover_;
};

}  // namespace numpool::pools
