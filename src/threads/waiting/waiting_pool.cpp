#include "threads/waiting/waiting_pool.hpp"

namespace numpool::threads {

Waiter::State WaitingPool::state_of(const Waiter& waiter) const noexcept {
    const Lock lock{mutex_};
    return WaitQueue::state(waiter);
}

WaitingPool::Block WaitingPool::collect(Waiter& waiter) noexcept {
    const Lock lock{mutex_};
    return queue_.collect(waiter);
}

void WaitingPool::join_queue(const std::shared_ptr<Waiter>& waiter) {
    queue_.join(waiter);
    ++waits_;
}

bool WaitingPool::grant(Lock& lock, Block block) noexcept {
    while (!queue_.empty()) {
        const std::shared_ptr<Waiter> waiter = queue_.grant(block);
        count(block.constructed);
        // A quick waiter may collect the block, release it and drop the last handle meanwhile. The
        // count keeps the pool.
        ++operations_without_lock_;
        lock.unlock();
        const bool notified = waiter->notify();
        lock.lock();
        --operations_without_lock_;
        if (notified || !queue_.collect(*waiter)) return true;
        uncount(block.constructed);
    }
    return false;
}

void WaitingPool::add_counts(PoolFigures& figures) const noexcept {
    figures.requests += requests_;
    figures.hits += hits_;
    figures.waits = waits_;
    figures.failures = failures_;
}

void WaitingPool::close() noexcept {
    PoolLifecycle::close();
    Lock lock{mutex_};
    const auto waiters = queue_.close();
    lock.unlock();
    for (const auto& waiter : waiters) waiter->notify();
}

}  // namespace numpool::threads
