#pragma once

#include "pages/range/address_range.hpp"

namespace numpool::pages {

/// Pages inside the process's reserved range, which `page_map` covers. Sizes and alignments are
/// rounded up to granules. Pages can move between any two extents of this source.
class RangePages final : public PageSource {
  public:
    Extent map(std::size_t bytes, std::size_t align) noexcept override;
    void unmap(Extent extent) noexcept override;
    bool purge(Extent extent) noexcept override;
    /// In place only. A span that cannot grow in place is moved by its bank, which knows its pages.
    Extent grow(Extent extent, std::size_t bytes) noexcept override;
    Moved move(Extent from, std::byte* to) noexcept override;
    bool renew(Extent extent) noexcept override;
    bool advise_huge(Extent extent, bool huge) noexcept override;
    std::size_t granularity() const noexcept override { return granule; }
};

/// The process's RangePages. It is never destroyed.
RangePages& range_pages() noexcept;

}  // namespace numpool::pages
