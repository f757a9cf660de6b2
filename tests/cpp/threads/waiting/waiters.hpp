#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "threads/waiting/waiting_pool.hpp"

namespace numpool::threads {

/// A waiter that counts its notifications. It can refuse them, like one whose event loop has gone.
struct CountingWaiter final : Waiter {
    bool notify() noexcept override {
        ++notified;
        return reachable;
    }
    std::atomic<int> notified{0};
    bool reachable = true;
};

/// A thread's wait from begin to end. Throws Closed.
inline WaitingPool::Block wait_for_block(WaitingPool& pool,
                                         std::chrono::nanoseconds patience = std::chrono::seconds{
                                             10}) {
    const auto waiter = std::make_shared<ThreadWaiter>();
    if (const auto block = pool.acquire_or_wait(waiter)) return block;
    waiter->wait(Doorbell::Clock::now() + patience);
    return pool.collect(*waiter);
}

}  // namespace numpool::threads
