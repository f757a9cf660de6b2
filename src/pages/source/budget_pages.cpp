#include "pages/source/budget_pages.hpp"

#include "base/size.hpp"

namespace numpool::pages {

bool BudgetPages::spend(std::size_t bytes) noexcept {
    std::size_t given = given_.load(std::memory_order_relaxed);
    do {
        if (given > limit_ || bytes > limit_ - given) return false;
    } while (!given_.compare_exchange_weak(given, given + bytes, std::memory_order_relaxed));
    return true;
}

void BudgetPages::unmap(Extent extent) noexcept {
    under_.unmap(extent);
    refund(extent.bytes);
}

Extent BudgetPages::grow(Extent extent, std::size_t bytes) noexcept {
    if (bytes > max_size) return {};
    const std::size_t size = round_up(bytes, under_.unit());
    if (size <= extent.bytes) return extent;
    if (!spend(size - extent.bytes)) return {};
    const Extent grown = under_.grow(extent, bytes);
    if (!grown) refund(size - extent.bytes);
    return grown;
}

}  // namespace numpool::pages
