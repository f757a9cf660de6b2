#pragma once

#include "pages/page_source.hpp"

namespace numpool::pages {

/// Pages of the operating system: private, anonymous, taken from it at first touch.
class OsPages final : public PageSource {
  public:
    Extent map(std::size_t bytes, std::size_t align) noexcept override;
    void unmap(Extent extent) noexcept override;
    bool purge(Extent extent) noexcept override;
};

/// The one that pools use unless they are given another. It lives for ever, so that blocks may be
/// released while the process exits.
OsPages& os_pages() noexcept;

}  // namespace numpool::pages
