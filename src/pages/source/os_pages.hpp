#pragma once

#include "pages/source/page_source.hpp"

namespace numpool::pages {

/// Private anonymous pages of the operating system.
class OsPages final : public PageSource {
  public:
    Extent map(std::size_t bytes, std::size_t align) noexcept override;
    void unmap(Extent extent) noexcept override;
    bool purge(Extent extent) noexcept override;
    Extent grow(Extent extent, std::size_t bytes) noexcept override;
    bool advise_huge(Extent extent, bool huge) noexcept override;
};

/// The process's OsPages, the default source of most pools. It is never destroyed, because blocks
/// are released while the process exits.
OsPages& os_pages() noexcept;

/// Whether this machine has transparent huge pages, at least on request. Read once.
bool huge_pages_offered() noexcept;

}  // namespace numpool::pages
