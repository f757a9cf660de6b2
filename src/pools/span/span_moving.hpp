#pragma once

#include <cstddef>
#include <memory>

#include "pages/source/page_source.hpp"
#include "pools/span/free_spans.hpp"

namespace numpool::pools {

/// How a bank brings pages, with their contents, to other addresses. A bank can do without: then
/// page faults bring what is missing, and a span that grows elsewhere is copied.
class SpanMoving {
  public:
    SpanMoving() = default;
    SpanMoving(const SpanMoving&) = delete;
    SpanMoving& operator=(const SpanMoving&) = delete;
    virtual ~SpanMoving() = default;

    /// Brings pages of free spans into the cold granules of a span that was just cut, from the
    /// address `from` on. False where a move lost addresses: the span is unusable.
    virtual bool fill(Span& span, std::byte* from) noexcept = 0;

    /// Moves the contents of one span to the start of another one, larger and cold; copies what
    /// cannot be moved. False where a move lost addresses: the contents are where they were, and
    /// the other span is unusable.
    virtual bool carry(Span& from, Span& to) noexcept = 0;

    /// Whether pages still move: a system that keeps refusing is not asked again.
    virtual bool moves() const noexcept = 0;

    virtual std::size_t moved_bytes() const noexcept = 0;
};

/// Makes a bank's moving, from its page source and its free spans. With `huge_pages` whole units
/// are worth a page fault. Throws std::bad_alloc.
using MakeSpanMoving = std::unique_ptr<SpanMoving> (*)(pages::PageSource& source, FreeSpans& free,
                                                       bool huge_pages);

}  // namespace numpool::pools
