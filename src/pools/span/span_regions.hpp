#pragma once

#include <cstddef>
#include <vector>

#include "pools/span/free_spans.hpp"

namespace numpool::pools {

/// The regions of a bank: the extents of whole units that it has from its page source.
class SpanRegions {
  public:
    SpanRegions(pages::PageSource& source, SpanRecords& records, FreeSpans& free) noexcept
        : source_{source}, records_{records}, free_{free}, commits_{source.needs_commit()} {}
    SpanRegions(const SpanRegions&) = delete;
    SpanRegions& operator=(const SpanRegions&) = delete;
    /// Unmaps all regions, but not the addresses that a move lost: other code may have mapped them.
    ~SpanRegions();

    /// Maps a region that is large enough for a span of `granules`, and adds it to the free spans.
    /// One record must be ensured. False if the source refuses.
    bool add(std::size_t granules) noexcept;

    /// Commits the cold granules of a place that was just carved. False, and nothing has changed,
    /// if the source refuses.
    bool commit(const Span& span) noexcept { return !commits_ || commit_cold(span); }

    /// Unmaps the regions that are one free span without pages.
    void give_unused_back() noexcept;

    std::size_t mapped() const noexcept { return mapped_; }
    const std::vector<pages::Extent>& all() const noexcept { return regions_; }

  private:
    bool commit_cold(const Span& span) noexcept;
    void unmap(const pages::Extent& region) noexcept;

    /// The bank's page source.
    pages::PageSource& source_;
    SpanRecords& records_;
    FreeSpans& free_;
    /// Whether the source must commit pages.
    const bool commits_;
    std::vector<pages::Extent> regions_;
    std::size_t mapped_ = 0;
};

}  // namespace numpool::pools
