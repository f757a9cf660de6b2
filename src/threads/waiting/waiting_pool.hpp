#pragma once

#include <memory>
#include <string>

#include "threads/lifecycle/pool_lifecycle.hpp"
#include "threads/waiting/wait_queue.hpp"

namespace numpool::threads {

/// A pool of equal blocks whose callers can wait for one.
class WaitingPool : public PoolLifecycle {
  public:
    using Block = pools::FixedPool::Block;

    /// A block, or an empty one where there is none, or others wait for it. Throws Closed.
    virtual Block try_acquire() = 0;

    /// A block; or an empty one, and the waiter is in the queue. Throws Closed.
    virtual Block acquire_or_wait(const std::shared_ptr<Waiter>& waiter) = 0;

    Waiter::State state_of(const Waiter& waiter) const noexcept;

    /// Ends a wait and returns the block that was granted, an empty one if none was.
    Block collect(Waiter& waiter) noexcept;

    /// Looks for blocks for the waiters in the pool that this one takes its blocks from, if there
    /// is one. True where there is: blocks may come back there without a release to this pool, so a
    /// waiter should call this now and then.
    virtual bool look_elsewhere() noexcept { return false; }

    void close() noexcept override;

  protected:
    using PoolLifecycle::PoolLifecycle;

    // The following need the lock.

    bool any_waiting() const noexcept { return !queue_.empty(); }
    /// Throws std::bad_alloc.
    void join_queue(const std::shared_ptr<Waiter>& waiter);
    /// Hands a live block to the first waiter that can still be notified. False where there is
    /// none. The lock is unlocked meanwhile, and the pool stays.
    bool grant(Lock& lock, Block block) noexcept;

    void count(bool hit) noexcept {
        ++requests_;
        if (hit) ++hits_;
    }
    void uncount(bool hit) noexcept {
        --requests_;
        if (hit) --hits_;
    }
    void add_counts(PoolFigures& figures) const noexcept;

    void forget_other_threads() noexcept override { queue_.forget(); }

    /// Operations that have unlocked the lock, and hold the pool meanwhile.
    std::size_t operations_without_lock_ = 0;
    std::size_t failures_ = 0;

  private:
    bool is_held() const noexcept final {
        return operations_without_lock_ != 0 || has_live_blocks();
    }
    bool has_live_blocks() const noexcept override = 0;

    WaitQueue queue_;
    std::size_t requests_ = 0;
    std::size_t hits_ = 0;
    std::size_t waits_ = 0;
};

}  // namespace numpool::threads
