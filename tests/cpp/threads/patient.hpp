#pragma once

#include <chrono>
#include <memory>

#include "threads/waiting_pool.hpp"

namespace numpool::threads {

/// A block at once, or after a wait of about that long at the most. Throws Closed.
inline WaitingPool::Block acquire_patiently(WaitingPool& pool, std::chrono::microseconds patience) {
    const auto waiter = std::make_shared<ThreadWaiter>();
    if (const auto block = pool.acquire_or_wait(waiter)) return block;
    waiter->wait(Doorbell::Clock::now() + patience);
    return pool.collect(*waiter);
}

}  // namespace numpool::threads
