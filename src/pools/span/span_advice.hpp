#pragma once

#include "pools/span/free_spans.hpp"

namespace numpool::pools {

/// Asks the page source for huge pages where spans are large, and for ordinary ones elsewhere.
class SpanAdvice {
  public:
    SpanAdvice(pages::PageSource& source, bool huge_pages) noexcept
        : source_{source}, huge_pages_{huge_pages} {}

    /// Huge pages for the whole units in a span that has some. A smaller span gets ordinary ones,
    /// or, with `small_too`, the huge pages that it shares with others.
    void advise(const Span& span, bool small_too) noexcept;

  private:
    void calm(std::byte* unit) noexcept;

    pages::PageSource& source_;
    bool huge_pages_;
};

}  // namespace numpool::pools
