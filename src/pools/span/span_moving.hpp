#pragma once

#include <cstddef>
#include <memory>

#include "pages/source/page_source.hpp"
#include "pools/span/free_spans.hpp"

namespace numpool::pools {

/// How a bank moves pages, with their contents, to other addresses. A bank works without it: then
/// page faults bring the missing pages, and a span that cannot grow in place is copied.
///
/// `SpanMover` in pools/moving implements it, by remapping; `SlabPoolOptions` chooses it.
class SpanMoving {
  public:
    SpanMoving() = default;
    SpanMoving(const SpanMoving&) = delete;
    SpanMoving& operator=(const SpanMoving&) = delete;
    virtual ~SpanMoving() = default;

    /// Moves pages of free spans to the cold granules of a span that was just carved, from the
    /// address `from` on. False if a move lost addresses: then the span is unusable.
    virtual bool fill(Span& span, std::byte* from) noexcept = 0;

    /// Moves the contents of a span to the start of a larger, cold one, and copies what cannot
    /// move. False if a move lost addresses: then the contents are where they were, and `to` is
    /// unusable.
    virtual bool move_contents(Span& from, Span& to) noexcept = 0;

    /// Whether pages still move. After too many refusals of the system they do not.
    virtual bool moves() const noexcept = 0;

    virtual std::size_t moved_bytes() const noexcept = 0;
};

/// Makes a bank's SpanMoving for its page source and its free spans. `huge_pages`: one page fault
/// brings a whole unit, so units are not put together from pieces. Throws std::bad_alloc.
using MakeSpanMoving = std::unique_ptr<SpanMoving> (*)(pages::PageSource& source, FreeSpans& free,
                                                       bool huge_pages);

}  // namespace numpool::pools
