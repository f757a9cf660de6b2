#pragma once

#include <atomic>

#include "pages/source/page_source.hpp"

namespace numpool::pages {

/// Another source's pages, up to a limit: what would go beyond it is refused.
class BudgetPages final : public PageSource {
  public:
    BudgetPages(PageSource& under, std::size_t limit) noexcept : under_{under}, limit_{limit} {}

    Extent map(std::size_t bytes, std::size_t align) noexcept override {
        return map_with([&] { return under_.map(bytes, align); }, bytes);
    }
    Extent map_advised(std::size_t bytes, std::size_t align, bool huge) noexcept override {
        return map_with([&] { return under_.map_advised(bytes, align, huge); }, bytes);
    }
    void unmap(Extent extent) noexcept override;
    bool purge(Extent extent) noexcept override { return under_.purge(extent); }
    Extent grow(Extent extent, std::size_t bytes) noexcept override;
    Moved move(Extent from, std::byte* to) noexcept override { return under_.move(from, to); }
    bool renew(Extent extent) noexcept override { return under_.renew(extent); }
    bool advise_huge(Extent extent, bool huge) noexcept override {
        return under_.advise_huge(extent, huge);
    }
    std::size_t unit() const noexcept override { return under_.unit(); }
    std::size_t given() const noexcept override { return given_.load(std::memory_order_relaxed); }

    std::size_t limit() const noexcept { return limit_; }

  private:
    template <class Map>
    Extent map_with(Map map, std::size_t bytes) noexcept {
        if (bytes > max_size) return {};
        const std::size_t size = round_up(bytes, under_.unit());
        if (!spend(size)) return {};
        const Extent extent = map();
        if (!extent) refund(size);
        return extent;
    }
    bool spend(std::size_t bytes) noexcept;
    void refund(std::size_t bytes) noexcept { given_.fetch_sub(bytes, std::memory_order_relaxed); }

    PageSource& under_;
    std::size_t limit_;
    std::atomic<std::size_t> given_ = 0;
};

}  // namespace numpool::pages
