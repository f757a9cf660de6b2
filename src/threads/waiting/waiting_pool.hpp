#pragma once

#include <memory>

#include "threads/lifecycle/pool.hpp"
#include "threads/waiting/wait_queue.hpp"

namespace numpool::threads {

/// A pool that who finds it empty may wait for.
class WaitingPool : public Pool {
  public:
    using Block = pools::FixedPool::Block;

    /// A block, or an empty one where there is none, or others wait for it. Throws Closed.
    virtual Block try_acquire() = 0;

    /// A block at once, or an empty one and the waiter stands in the queue. Throws Closed.
    virtual Block acquire_or_wait(const std::shared_ptr<Waiter>& waiter) = 0;

    virtual Waiter::State state_of(const Waiter& waiter) const noexcept = 0;

    /// Ends a wait and hands over what it was granted, an empty block if nothing.
    virtual Block collect(Waiter& waiter) noexcept = 0;

    /// Looks for blocks for those who wait where they may have come back without a release to this
    /// pool. Whether there is such a place: then who waits should call it now and then.
    virtual bool look_elsewhere() noexcept { return false; }
};

}  // namespace numpool::threads
