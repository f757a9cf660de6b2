#pragma once

#include <cstddef>
#include <vector>

#include "pools/span/free_spans.hpp"

namespace numpool::pools {

/// The addresses of a bank, as it gets them from its page source: in regions of whole units.
class SpanRegions {
  public:
    SpanRegions(pages::PageSource& source, SpanRecords& records, FreeSpans& free) noexcept
        : source_{source}, records_{records}, free_{free} {}
    SpanRegions(const SpanRegions&) = delete;
    SpanRegions& operator=(const SpanRegions&) = delete;
    /// Gives all addresses back but those that a move lost: they may be somebody else's by now.
    ~SpanRegions();

    /// Gets a region for a span of `granules`, which becomes a free span. One record must be
    /// reserved. False where the source refuses.
    bool add(std::size_t granules) noexcept;

    /// Gives back the regions that are one free span without pages.
    void give_unused_back() noexcept;

    std::size_t mapped() const noexcept { return mapped_; }
    const std::vector<pages::Extent>& all() const noexcept { return regions_; }

  private:
    void unmap(const pages::Extent& region) noexcept;

    pages::PageSource& source_;
    SpanRecords& records_;
    FreeSpans& free_;
    std::vector<pages::Extent> regions_;
    std::size_t mapped_ = 0;
};

}  // namespace numpool::pools
