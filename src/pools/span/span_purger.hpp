#pragma once

#include <cstddef>

#include "pools/span/free_spans.hpp"

namespace numpool::pools {

/// Purges the pages of spans, and counts them.
class SpanPurger {
  public:
    SpanPurger(pages::PageSource& source, FreeSpans& free) noexcept
        : source_{source}, free_{free} {}

    /// Purges up to `granules` granules of a free span, from its end, and more if that keeps a unit
    /// whole. Returns how many it purged; fewer if the source refuses.
    std::size_t purge(Span* span, std::size_t granules) noexcept;

    /// Purges about `bytes` of the free spans. It begins with those whose last use is oldest.
    void purge_oldest(std::size_t bytes) noexcept;

    /// Purges all free spans whose last use was at least `idle_for` milliseconds before `now`.
    void purge_idle(std::uint64_t now, std::uint64_t idle_for) noexcept;

    /// Purges a part of a span that is not free. The caller updates the warm bytes. False, and
    /// nothing has changed, if the source refuses.
    bool purge_part(std::byte* start, std::size_t granules) noexcept;

    /// The bytes purged so far.
    std::size_t purged() const noexcept { return purged_; }

  private:
    std::size_t purge_run(Span* span, std::byte* start, std::byte* end) noexcept;
    std::size_t purge_pieces(Span* span, std::size_t granules) noexcept;

    /// The bank's page source.
    pages::PageSource& source_;
    FreeSpans& free_;
    std::size_t purged_ = 0;
};

}  // namespace numpool::pools
