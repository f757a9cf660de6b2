/// What a SharedSlabPool does beside requests: threads come and go, decay, trim, close, figures and
/// checks.

#include <chrono>
#include <thread>

#include "base/clock.hpp"
#include "base/gate/backoff.hpp"
#include "threads/slab/shared_slab_pool.hpp"

namespace numpool::threads {

bool SharedSlabPool::thread_joins(ThreadRecord& record) noexcept {
    const Lock lock{mutex_};
    return threads_.join(record);
}

void SharedSlabPool::thread_ends(ThreadRecord& record) noexcept {
    const Lock lock{mutex_};
    threads_.end_magazines(record, to_centre());
}

void SharedSlabPool::empty_all() noexcept {
    const Threads::AllOutside outside{threads_};
    threads_.empty_all(to_centre());
}

void SharedSlabPool::decay_magazines_if_due() noexcept {
    const std::uint64_t now = coarse_milliseconds();
    if (now - magazines_decayed_ < centre_.options().spans.decay_milliseconds) return;
    magazines_decayed_ = now;
    threads_.decay(to_centre());
}

std::size_t SharedSlabPool::decay() noexcept {
    const Lock lock{mutex_};
    threads_.decay(to_centre());
    return centre_.decay();
}

std::size_t SharedSlabPool::trim() {
    // Purging small pages takes tens of milliseconds for a gibibyte, and other threads need the
    // lock. So it is purged in steps, and the lock is unlocked whenever it was held for long.
    constexpr std::size_t step = std::size_t{16} << 20;
    constexpr std::chrono::milliseconds long_hold{2};
    using Clock = std::chrono::steady_clock;
    std::size_t bytes = 0;
    Lock lock{mutex_};
    Clock::time_point locked = Clock::now();
    empty_all();
    // Other threads may release more meanwhile. The next call gives that back.
    for (std::size_t left = centre_.figures(threads_.all_magazines()).total.cached;;) {
        const std::size_t gone = centre_.trim(step);
        bytes += gone;
        if (gone < step || gone >= left) return bytes;
        left -= gone;
        if (Clock::now() - locked < long_hold) continue;
        lock.unlock();
        // Long enough for a thread that sleeps before the lock to lock it.
        std::this_thread::sleep_for(std::chrono::nanoseconds{2 * Backoff::longest_nap});
        lock.lock();
        locked = Clock::now();
    }
}

void SharedSlabPool::reset_peak() noexcept {
    const Lock lock{mutex_};
    empty_all();
    centre_.reset_peak();
}

[[gnu::cold]] std::string SharedSlabPool::refusal(std::size_t bytes) const {
    const Lock lock{mutex_};
    return closed_ ? closed_text() : centre_.refusal_text(bytes);
}

/// From here on every operation finds its gate shut and takes the lock. Its thread has no magazines
/// any more, so the pool must be closed by then.
void SharedSlabPool::end_thread_caches() noexcept {
    const std::lock_guard links{links_mutex()};
    const Lock lock{mutex_};
    closed_ = true;
    threads_.close(to_centre());
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
    figures.in_file = centre_.source().bytes_on_disk();
    return figures;
}

[[gnu::cold]] void SharedSlabPool::check() const {
    const Lock lock{mutex_};
    const Threads::AllOutside outside{threads_};
    centre_.check(threads_.all_magazines());
}

}  // namespace numpool::threads
