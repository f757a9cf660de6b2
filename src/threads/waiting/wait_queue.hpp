#pragma once

#include <cstddef>
#include <list>
#include <memory>

#include "pools/fixed/fixed_pool.hpp"
#include "threads/waiting/doorbell.hpp"

namespace numpool::threads {

/// Someone who waits for a block. The pool's lock guards its state.
class Waiter {
  public:
    enum class State { outside, waiting, granted, closed };

    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    virtual ~Waiter() = default;

    /// Tells it that its state is `granted` or `closed`; called once, without the lock, by
    /// whichever thread brought that about. False where it can't be told any more: its block then
    /// goes to the next.
    virtual bool notify() noexcept = 0;

  private:
    friend class WaitQueue;
    State state_ = State::outside;
    pools::FixedPool::Block grant_;
    std::list<std::shared_ptr<Waiter>>::iterator place_;
};

/// A thread that waits by sleeping.
class ThreadWaiter final : public Waiter {
  public:
    bool notify() noexcept override {
        bell_.ring();
        return true;
    }
    Doorbell::Woken wait(std::optional<Doorbell::Clock::time_point> deadline) noexcept {
        return bell_.wait(deadline);
    }

  private:
    Doorbell bell_;
};

/// Those who wait for one pool's blocks, first come first served. Every call needs the pool's lock.
///
/// A released block is handed to the first waiter itself, never put back for whoever is quickest:
/// one block wakes exactly one waiter, and none can be overtaken.
class WaitQueue {
  public:
    bool empty() const noexcept { return waiters_.empty(); }
    std::size_t size() const noexcept { return waiters_.size(); }

    /// Throws std::bad_alloc.
    void join(const std::shared_ptr<Waiter>& waiter) {
        waiter->place_ = waiters_.insert(waiters_.end(), waiter);
        waiter->state_ = Waiter::State::waiting;
    }

    /// Gives the block to the first in the queue, who must then be notified.
    std::shared_ptr<Waiter> grant(pools::FixedPool::Block block) noexcept {
        std::shared_ptr<Waiter> first = std::move(waiters_.front());
        waiters_.pop_front();
        first->state_ = Waiter::State::granted;
        first->grant_ = block;
        return first;
    }

    /// Ends the waiter's wait. What it was granted and did not collect is the result.
    pools::FixedPool::Block collect(Waiter& waiter) noexcept {
        const Waiter::State state = waiter.state_;
        if (state == Waiter::State::waiting) waiters_.erase(waiter.place_);
        if (state != Waiter::State::closed) waiter.state_ = Waiter::State::outside;
        return state == Waiter::State::granted ? waiter.grant_ : pools::FixedPool::Block{};
    }

    static Waiter::State state(const Waiter& waiter) noexcept { return waiter.state_; }

    /// Empties the queue for a pool that closes; all of them must then be notified.
    std::list<std::shared_ptr<Waiter>> close() noexcept {
        for (const auto& waiter : waiters_) waiter->state_ = Waiter::State::closed;
        return std::move(waiters_);
    }

    /// After a fork: those who waited are not in this process.
    void forget() noexcept {
        for (const auto& waiter : waiters_) waiter->state_ = Waiter::State::outside;
        waiters_.clear();
    }

  private:
    std::list<std::shared_ptr<Waiter>> waiters_;
};

}  // namespace numpool::threads
