#pragma once

#include <atomic>

#include "pages/source/page_source.hpp"

namespace numpool::pages {

/// Pages of the operating system: private, anonymous, taken from it at first touch.
class OsPages final : public PageSource {
  public:
    Extent map(std::size_t bytes, std::size_t align) noexcept override;
    void unmap(Extent extent) noexcept override;
    bool purge(Extent extent) noexcept override;
    Extent grow(Extent extent, std::size_t bytes) noexcept override;
    bool advise_huge(Extent extent, bool huge) noexcept override;
    std::size_t given() const noexcept override { return given_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::size_t> given_ = 0;
};

/// The one that pools use unless they are given another. It lives for ever, so that blocks may be
/// released while the process exits.
OsPages& os_pages() noexcept;

/// Whether this machine has transparent huge pages, at least on request. Looked up once.
bool huge_pages_offered() noexcept;

}  // namespace numpool::pages
