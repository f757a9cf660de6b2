#include "threads/lifecycle/pool_lifecycle.hpp"

#include <utility>

#include "base/error.hpp"

namespace numpool::threads {

PoolLifecycle::PoolLifecycle(const char* kind, std::string name, Rank rank)
    : rank_{rank}, kind_{kind}, name_{std::move(name)} {}

PoolLifecycle::~PoolLifecycle() = default;

void PoolLifecycle::add_handle() noexcept {
    // Read without the lock. It is written twice: with the first handle, before another thread
    // knows the pool, and at the end, when nothing holds the pool. A fork then finds a complete
    // pool.
    const bool first = !reachable_;
    if (first) guard(rank_);
    const Lock lock{mutex_};
    ++handles_;
    if (first) reachable_ = true;
}

bool PoolLifecycle::add_handle_if_reachable() noexcept {
    const Lock lock{mutex_};
    if (reachable_) ++handles_;
    return reachable_;
}

bool PoolLifecycle::add_handle_if_owns(const std::byte* address) noexcept {
    const Lock lock{mutex_};
    if (!reachable_) return false;
    if (!contains(address) && !(layer_ && layer_->contains(address))) return false;
    ++handles_;
    return true;
}

void PoolLifecycle::drop_handle() noexcept {
    {
        const Lock lock{mutex_};
        if (handles_ > 1) {
            --handles_;
            return;
        }
    }
    // This handle still holds the pool: no other thread can end it meanwhile.
    if (layer_) layer_->retire();
    last_handle_goes();
    Lock lock{mutex_};
    --handles_;
    end_if_unused(lock);
}

[[gnu::cold]] std::string PoolLifecycle::title() const {
    return name_.empty() ? kind_ : kind_ + (" '" + name_ + "'");
}

bool PoolLifecycle::owns(const std::byte* address) const noexcept {
    const Lock lock{mutex_};
    return contains(address);
}

void PoolLifecycle::close() noexcept {
    if (layer_) layer_->retire();
    end_thread_caches();
    const Lock lock{mutex_};
    closed_ = true;
    if (!has_live_blocks()) end_memory();
}

[[gnu::cold]] void PoolLifecycle::throw_closed() const {
    throw Closed{closed_text()};
}

void PoolLifecycle::end_unused(Lock& lock) noexcept {
    if (closed_ && !has_live_blocks()) end_memory();
    if (handles_ != 0 || is_held()) return;
    reachable_ = false;
    lock.unlock();
    end();
}

/// Deletes the pool. That may drop the last handle of another one, a parent or a source. Pools that
/// end meanwhile wait in a list, so a chain of any length needs little stack.
void PoolLifecycle::end() noexcept {
    static constinit thread_local PoolLifecycle* waiting = nullptr;
    static constinit thread_local bool deleting = false;
    next_to_end_ = std::exchange(waiting, this);
    if (deleting) return;
    deleting = true;
    while (PoolLifecycle* const pool = waiting) {
        waiting = pool->next_to_end_;
        pool->unguard();
        delete pool;
    }
    deleting = false;
}

void PoolLifecycle::lock_for_fork() noexcept {
    mutex_.lock();
    if (reachable_) pause_for_fork();
}

void PoolLifecycle::unlock_in_parent() noexcept {
    if (reachable_) resume_after_fork();
    mutex_.unlock();
}

void PoolLifecycle::unlock_in_child() noexcept {
    if (reachable_) forget_other_threads();
    unlock_in_parent();
}

/// Like `close`, but gives no memory back: that could end other pools.
void PoolLifecycle::end_in_child() noexcept {
    if (!reachable_ || survives_fork_) return;
    end_thread_caches();
    const Lock lock{mutex_};
    closed_ = true;
}

}  // namespace numpool::threads
