#include <algorithm>

#include "base/clock.hpp"
#include "threads/shared_slab_pool.hpp"

/// What happens to a SharedSlabPool beside requests: threads that come and go, decay, its end,
/// fork, and who looks at it.
namespace numpool::threads {

using pools::FreeBlock;
using pools::Magazines;

SharedSlabPool::AllOutside::AllOutside(const SharedSlabPool& pool) noexcept : pool_{pool} {
    for (ThreadMagazines* const thread : pool_.threads_) thread->gate.shut();
    heavy_barrier();
    for (ThreadMagazines* const thread : pool_.threads_) thread->gate.wait_outside();
}

SharedSlabPool::AllOutside::~AllOutside() {
    for (ThreadMagazines* const thread : pool_.threads_) thread->gate.open(pool_.key_);
}

bool SharedSlabPool::thread_joins(ThreadMagazines& magazines) noexcept try {
    const Lock lock{mutex_};
    if (closed_) return false;
    threads_.push_back(&magazines);
    magazines.gate.open(key_);
    return true;
} catch (const std::bad_alloc&) {
    return false;
}

void SharedSlabPool::thread_ends(ThreadMagazines& magazines) noexcept {
    const Lock lock{mutex_};
    magazines.gate.shut();
    let_go(magazines);
}

/// Ends a thread's magazines: the thread is outside, and the lock and `links_mutex` are held.
void SharedSlabPool::let_go(ThreadMagazines& magazines) noexcept {
    empty(*magazines.all);
    for (std::size_t i = 0; i < gone_.size(); ++i) gone_[i].inherit((*magazines.all)[i]);
    delete magazines.all;
    magazines.all = nullptr;

    magazines.pool = nullptr;
    std::erase(threads_, &magazines);
}

void SharedSlabPool::empty(Magazines& magazines) noexcept {
    magazines.empty([&](std::size_t size_class, const FreeBlock* blocks, std::size_t count) {
        centre_.give(size_class, blocks, count);
    });
}

void SharedSlabPool::empty_all() noexcept {
    const AllOutside outside{*this};
    for (ThreadMagazines* const thread : threads_) empty(*thread->all);
}

/// Empties the magazines of threads that asked for nothing since the last look.
/// Idle threads keep nothing at hand, the others no more than they began with.
void SharedSlabPool::empty_idle() noexcept {
    std::vector<ThreadMagazines*>::size_type idle = 0;
    const auto is_idle = [](ThreadMagazines& thread) {
        std::int64_t requests = 0;
        for (std::size_t i = 0; i < thread.all->size(); ++i)
            requests += (*thread.all)[i].requests();
        return std::exchange(thread.requests_seen, requests) == requests;
    };
    // Idle ones to the front; the order of threads has no meaning.
    bool wide = false;
    for (ThreadMagazines*& thread : threads_) {
        wide |= thread->all->wide();
        if (is_idle(*thread)) std::swap(thread, threads_[idle++]);
    }
    if (idle == 0 && !wide) return;
    const AllOutside outside{*this};
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        Magazines& magazines = *threads_[i]->all;
        if (i < idle) {
            empty(magazines);
        } else {
            magazines.make_narrow(
                [&](std::size_t size_class, const FreeBlock* blocks, std::size_t count) {
                    centre_.give(size_class, blocks, count);
                });
        }
    }
}

void SharedSlabPool::decay_now_and_then() noexcept {
    const std::uint64_t now = coarse_milliseconds();
    if (now - looked_for_idle_ < centre_.options().spans.decay_milliseconds) return;
    looked_for_idle_ = now;
    empty_idle();
}

std::size_t SharedSlabPool::decay() noexcept {
    const Lock lock{mutex_};
    empty_idle();
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
    {
        // From here on every operation finds its gate shut and takes the lock.
        const AllOutside outside{*this};
        while (!threads_.empty()) let_go(*threads_.back());
    }
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

std::string SharedSlabPool::title() const {
    return centre_.title();
}

std::vector<const Magazines*> SharedSlabPool::all_magazines() const {
    std::vector<const Magazines*> all{&gone_};
    for (const ThreadMagazines* const thread : threads_) all.push_back(thread->all);
    return all;
}

pools::SlabPoolFigures SharedSlabPool::class_figures() const {
    const Lock lock{mutex_};
    return centre_.figures(all_magazines());
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

void SharedSlabPool::check() const {
    const Lock lock{mutex_};
    const AllOutside outside{*this};
    centre_.check(all_magazines());
}

void SharedSlabPool::lock_for_fork() noexcept {
    mutex_.lock();
    paused_for_fork_.emplace(*this);
}

void SharedSlabPool::unlock_in_parent() noexcept {
    paused_for_fork_.reset();
    mutex_.unlock();
}

void SharedSlabPool::unlock_in_child() noexcept {
    // The other threads are gone; they were outside, so what they had at hand is whole.
    ThreadMagazines* const own = find_thread_magazines(key_);
    for (std::size_t i = threads_.size(); i-- > 0;) {
        if (threads_[i] != own) let_go(*threads_[i]);
    }
    paused_for_fork_.reset();
    mutex_.unlock();
}

}  // namespace numpool::threads
