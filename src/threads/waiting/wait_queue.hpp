#pragma once

#include <list>
#include <memory>

#include "threads/waiting/waiter.hpp"

namespace numpool::threads {

/// The waiters of one pool, first come, first served. Every call needs the pool's lock.
///
/// A released block goes directly to the first waiter, never to the pool where a quicker thread
/// could get it. So one block wakes exactly one waiter, and no waiter is overtaken.
class WaitQueue {
  public:
    bool empty() const noexcept { return waiters_.empty(); }

    /// Throws std::bad_alloc.
    void join(const std::shared_ptr<Waiter>& waiter) {
        waiter->place_ = waiters_.insert(waiters_.end(), waiter);
        waiter->state_ = Waiter::State::waiting;
    }

    /// Grants the block to the first waiter and returns that waiter; the caller must notify it.
    std::shared_ptr<Waiter> grant(pools::FixedPool::Block block) noexcept {
        std::shared_ptr<Waiter> first = std::move(waiters_.front());
        waiters_.pop_front();
        first->state_ = Waiter::State::granted;
        first->grant_ = block;
        return first;
    }

    /// Ends the waiter's wait. Returns the block that it was granted; an empty one if none was.
    pools::FixedPool::Block collect(Waiter& waiter) noexcept {
        const Waiter::State state = waiter.state_;
        if (state == Waiter::State::waiting) waiters_.erase(waiter.place_);
        if (state != Waiter::State::closed) waiter.state_ = Waiter::State::outside;
        return state == Waiter::State::granted ? waiter.grant_ : pools::FixedPool::Block{};
    }

    static Waiter::State state(const Waiter& waiter) noexcept { return waiter.state_; }

    /// Empties the queue for a pool that closes; the caller must notify all of them.
    std::list<std::shared_ptr<Waiter>> close() noexcept {
        for (const auto& waiter : waiters_) waiter->state_ = Waiter::State::closed;
        return std::move(waiters_);
    }

    /// After a fork: the waiters' threads are not in this process.
    void forget() noexcept {
        for (const auto& waiter : waiters_) waiter->state_ = Waiter::State::outside;
        waiters_.clear();
    }

  private:
    std::list<std::shared_ptr<Waiter>> waiters_;
};

}  // namespace numpool::threads
