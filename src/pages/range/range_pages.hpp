#pragma once

#include <atomic>

#include "pages/range/address_range.hpp"

namespace numpool::pages {

/// Pages inside the process's reserved range, so that `page_map` can know them; `align` and sizes
/// are counted in granules. Pages can move between any two extents it gave.
class RangePages final : public PageSource {
  public:
    Extent map(std::size_t bytes, std::size_t align) noexcept override;
    void unmap(Extent extent) noexcept override;
    bool purge(Extent extent) noexcept override;
    /// In place only: a span that has to move is moved by its bank, which knows its pages.
    Extent grow(Extent extent, std::size_t bytes) noexcept override;
    Moved move(Extent from, std::byte* to) noexcept override;
    bool renew(Extent extent) noexcept override;
    bool advise_huge(Extent extent, bool huge) noexcept override;
    std::size_t unit() const noexcept override { return granule; }
    std::size_t given() const noexcept override { return given_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::size_t> given_ = 0;
};

/// The one of this process. It lives for ever.
RangePages& range_pages() noexcept;

}  // namespace numpool::pages
