#pragma once

#include <list>
#include <memory>

#include "pools/fixed/fixed_pool.hpp"
#include "threads/waiting/doorbell.hpp"

namespace numpool::threads {

/// A caller that waits for a block. The pool's lock guards its state.
class Waiter {
  public:
    enum class State { outside, waiting, granted, closed };

    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    virtual ~Waiter() = default;

    /// Called once, without the lock, after the state became `granted` or `closed`, by the thread
    /// that changed it. False where the waiter cannot be reached any more: its block then goes to
    /// the next one.
    virtual bool notify() noexcept = 0;

  private:
    friend class WaitQueue;
    State state_ = State::outside;
    pools::FixedPool::Block grant_;
    std::list<std::shared_ptr<Waiter>>::iterator place_;
};

/// A thread that sleeps until it is notified.
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

}  // namespace numpool::threads
