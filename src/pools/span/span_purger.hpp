#pragma once

#include <cstddef>

#include "pools/span/free_spans.hpp"

namespace numpool::pools {

/// Gives the pages of spans back to their source, and counts them.
class SpanPurger {
  public:
    SpanPurger(pages::PageSource& source, FreeSpans& free) noexcept
        : source_{source}, free_{free} {}

    /// Gives back up to `granules` pages of a free span, from its end, and more where that keeps a
    /// huge page whole. Returns how many went: fewer where the source refuses.
    std::size_t purge(Span* span, std::size_t granules) noexcept;

    /// Gives back pages of free spans, of those first that are idle for longest.
    void purge_oldest(std::size_t bytes) noexcept;

    /// Gives back all pages of free spans that were in use `idle_for` milliseconds before `now` or
    /// earlier.
    void purge_idle(std::uint64_t now, std::uint64_t idle_for) noexcept;

    /// Makes a part of a span cold that is not free. False, and nothing has changed, where the
    /// source refuses.
    bool purge_part(std::byte* start, std::size_t granules) noexcept;

    /// Bytes, through the bank's life.
    std::size_t purged() const noexcept { return purged_; }

  private:
    std::size_t purge_run(Span* span, std::byte* start, std::byte* end) noexcept;
    std::size_t purge_pieces(Span* span, std::size_t granules) noexcept;

    pages::PageSource& source_;
    FreeSpans& free_;
    std::size_t purged_ = 0;
};

}  // namespace numpool::pools
