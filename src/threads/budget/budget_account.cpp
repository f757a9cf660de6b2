#include "threads/budget/budget_account.hpp"

#include <algorithm>

namespace numpool::threads {

PoolFigures BudgetAccount::figures() const noexcept {
    PoolFigures figures;
    // Read before the requests: a block that is released meanwhile must not count as less than
    // none.
    const auto released =
        releases_.load(std::memory_order_relaxed) + static_cast<std::size_t>(own_releases_.read());
    figures.in_use = in_use();
    figures.requested = figures.committed = figures.mapped = figures.in_use;
    figures.peak = figures.peak_committed = std::max(peak(), figures.in_use);
    figures.limit = limit;
    figures.requests =
        requests_.load(std::memory_order_relaxed) + static_cast<std::size_t>(own_requests_.read());
    figures.asked =
        asked_.load(std::memory_order_relaxed) + static_cast<std::size_t>(own_asked_.read());
    figures.blocks = figures.requests > released ? figures.requests - released : 0;
    figures.failures = failures_.load(std::memory_order_relaxed);
    return figures;
}

}  // namespace numpool::threads
