#pragma once

#include <atomic>

#include "pages/source/page_source.hpp"

namespace numpool::pages {

/// Huge pages from the pool that the administrator set aside (vm.nr_hugepages), on demand only:
/// where that is empty the pages are refused, and ordinary ones may serve.
class ExplicitHugePages final : public PageSource {
  public:
    Extent map(std::size_t bytes, std::size_t align) noexcept override;
    void unmap(Extent extent) noexcept override;
    /// Refused: somebody else might take a page that was given back, and at the next touch of its
    /// addresses the process would be killed.
    bool purge(Extent) noexcept override { return false; }
    std::string refusal() const override {
        return "no more huge pages of 2 MiB are set aside: raise vm.nr_hugepages";
    }
    std::size_t unit() const noexcept override { return huge_page; }
    std::size_t given() const noexcept override { return given_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::size_t> given_ = 0;
};

}  // namespace numpool::pages
