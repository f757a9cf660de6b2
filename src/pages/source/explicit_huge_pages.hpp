#pragma once

#include "pages/source/page_source.hpp"

namespace numpool::pages {

/// Huge pages from the kernel's pool, which the administrator reserves (vm.nr_hugepages). If that
/// pool is empty, the pages are refused and the caller may use ordinary ones.
class ExplicitHugePages final : public PageSource {
  public:
    Extent map(std::size_t bytes, std::size_t align) noexcept override;
    void unmap(Extent extent) noexcept override;
    /// Refused: another process might get the page that was given back, and the next touch of its
    /// addresses would kill this process.
    bool purge(Extent) noexcept override { return false; }
    std::string refusal() const override {
        return "no more huge pages of 2 MiB are set aside: raise vm.nr_hugepages";
    }
    std::size_t granularity() const noexcept override { return huge_page; }
};

}  // namespace numpool::pages
