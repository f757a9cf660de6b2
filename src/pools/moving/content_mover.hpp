#pragma once

#include "pools/moving/page_mover.hpp"

namespace numpool::pools {

/// Moves the contents of a live span that grows.
class ContentMover {
  public:
    explicit ContentMover(PageMover& mover) noexcept : mover_{mover} {}

    /// As `SpanMoving::move_contents`.
    bool move(Span& from, Span& to) noexcept;

  private:
    pages::Moved move_piece(std::byte* from, std::byte* to, std::size_t granules) noexcept;

    PageMover& mover_;
};

}  // namespace numpool::pools
