#include "threads/lifecycle/range_fork.hpp"

#include "pages/range/address_range.hpp"
#include "threads/lifecycle/fork_guarded.hpp"

namespace numpool::threads {
namespace {

class RangeGuard final : public ForkGuarded {
  public:
    RangeGuard() { guard(Rank::inner); }
    void lock_for_fork() noexcept override {
        pages::pool_numbers_mutex().lock();
        pages::address_range().mutex().lock();
    }
    void unlock_in_parent() noexcept override {
        pages::address_range().mutex().unlock();
        pages::pool_numbers_mutex().unlock();
    }
    void unlock_in_child() noexcept override { unlock_in_parent(); }
};

}  // namespace

void guard_range_for_fork() {
    static auto* const guard = new RangeGuard;
    static_cast<void>(guard);
}

}  // namespace numpool::threads
