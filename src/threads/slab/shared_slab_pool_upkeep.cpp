#include "base/clock.hpp"
#include "threads/slab/shared_slab_pool.hpp"

/// What happens to a SharedSlabPool beside requests: threads that come and go, decay, its end,
/// fork, figures and checks.
namespace numpool::threads {

bool SharedSlabPool::thread_joins(ThreadRecord& record) noexcept {
    const Lock lock{mutex_};
    return threads_.join(record);
}

void SharedSlabPool::thread_ends(ThreadRecord& record) noexcept {
    const Lock lock{mutex_};
    threads_.let_go(record, give());
}

void SharedSlabPool::empty_all() noexcept {
    const Threads::AllOutside outside{threads_};
    threads_.empty_all(give());
}

void SharedSlabPool::decay_now_and_then() noexcept {
    const std::uint64_t now = coarse_milliseconds();
    if (now - looked_for_idle_ < centre_.options().spans.decay_milliseconds) return;
    looked_for_idle_ = now;
    threads_.decay(give());
}

std::size_t SharedSlabPool::decay() noexcept {
    const Lock lock{mutex_};
    threads_.decay(give());
    return centre_.decay();
}

std::size_t SharedSlabPool::trim() {
    const Lock lock{mutex_};
    empty_all();
    return centre_.trim();
}

void SharedSlabPool::add_handle() noexcept {
    const Lock lock{mutex_};
    ++handles_;
}

bool SharedSlabPool::add_handle_if_owns(const std::byte* address) noexcept {
    const Lock lock{mutex_};
    if ((handles_ == 0 && centre_.blocks_out() == 0) || !owns(address)) return false;
    ++handles_;
    return true;
}

void SharedSlabPool::drop_handle() noexcept {
    {
        const Lock lock{mutex_};
        if (handles_ > 1) {
            --handles_;
            return;
        }
    }
    // This handle still keeps the pool: nobody ends it meanwhile.
    close();
    Lock lock{mutex_};
    --handles_;
    settle(lock);
}

void SharedSlabPool::close() noexcept {
    const std::lock_guard links{links_mutex()};
    Lock lock{mutex_};
    if (closed_) return;
    closed_ = true;
    // From here on every operation finds its gate shut and takes the lock.
    threads_.retire(give());
    if (centre_.blocks_out() == 0) centre_.trim();
}

bool SharedSlabPool::closed() const noexcept {
    return closed_;
}

/// Gives everything back when the last block of a closed pool has come back, and ends the pool if
/// nobody has a handle on it either. While it is open nothing is counted for this: blocks out of
/// their slabs include those at hand. Once it is closed, none are at hand.
void SharedSlabPool::settle(Lock& lock) noexcept {
    if (!closed_ || centre_.blocks_out() != 0) return;
    centre_.trim();
    if (handles_ != 0) return;
    lock.unlock();
    delete this;
}

[[gnu::cold]] std::string SharedSlabPool::title() const {
    return centre_.title();
}

pools::SlabPoolFigures SharedSlabPool::class_figures() const {
    const Lock lock{mutex_};
    return centre_.figures(threads_.all_magazines());
}

PoolFigures SharedSlabPool::figures() const {
    const pools::SlabPoolFigures all = class_figures();
    PoolFigures figures;
    figures.requested = all.total.requested;
    figures.in_use = all.total.in_use;
    figures.peak = all.peak;
    figures.cached = all.total.cached;
    figures.committed = all.total.committed;
    figures.peak_committed = all.peak_committed;
    figures.mapped = all.total.mapped;
    figures.limit = all.limit;
    figures.blocks = all.total.blocks;
    figures.requests = all.total.requests;
    figures.asked = all.total.asked;
    figures.hits = all.total.hits;
    figures.failures = all.failures;
    return figures;
}

[[gnu::cold]] void SharedSlabPool::check() const {
    const Lock lock{mutex_};
    const Threads::AllOutside outside{threads_};
    centre_.check(threads_.all_magazines());
}

void SharedSlabPool::lock_for_fork() noexcept {
    mutex_.lock();
    paused_for_fork_.emplace(threads_);
}

void SharedSlabPool::unlock_in_parent() noexcept {
    paused_for_fork_.reset();
    mutex_.unlock();
}

void SharedSlabPool::unlock_in_child() noexcept {
    // The other threads are gone; they were outside, so what they had at hand is whole.
    threads_.keep_only_own(give());
    unlock_in_parent();
}

}  // namespace numpool::threads
