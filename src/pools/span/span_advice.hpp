#pragma once

#include "pools/span/free_spans.hpp"

namespace numpool::pools {

/// Asks the page source for huge pages in large spans, and for ordinary pages in small ones.
class SpanAdvice {
  public:
    SpanAdvice(pages::PageSource& source, bool huge_pages) noexcept
        : source_{source}, huge_pages_{huge_pages} {}

    /// Asks for huge pages in all whole units of a span. A span without a whole unit gets ordinary
    /// pages; with `small_too` it gets huge pages, which it shares with its neighbours.
    void advise(const Span& span, bool small_too) noexcept;

  private:
    void cancel(std::byte* unit) noexcept;

    /// The bank's page source.
    pages::PageSource& source_;
    bool huge_pages_;
};

}  // namespace numpool::pools
