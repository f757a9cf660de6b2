#include "threads/reserve/shared_reserve_pool.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/size_text.hpp"

namespace numpool::threads {
namespace {

void require_reserve(std::size_t reserve) {
    if (reserve == 0) {
        throw BadArgument{"reserve is 0: a request could wait for ever, so keep at least 1"};
    }
}

}  // namespace

PoolHandle<SharedReservePool> SharedReservePool::create(const SharedReservePoolOptions& options,
                                                        Pool& backing, ByteSource& source) {
    PoolHandle pool{new SharedReservePool{options, backing, source}};
    pool->replenish_or_throw();
    return pool;
}

SharedReservePool::SharedReservePool(const SharedReservePoolOptions& options, Pool& backing,
                                     ByteSource& source)
    : WaitingPool{"ReservePool", options.name},
      reserve_{options.reserve},
      backing_{&backing},
      source_{source},
      bytes_{options.bytes} {
    require_reserve(reserve_);
    at_hand_.reserve(reserve_);
}

SharedReservePool::~SharedReservePool() {
    release_to_backing(at_hand_);
}

void SharedReservePool::release_to_backing(const std::vector<std::byte*>& blocks) noexcept {
    for (std::byte* const block : blocks) source_.try_release(block, bytes_);
}

/// Requests the blocks that the reserve lacks.
void SharedReservePool::replenish() {
    for (;;) {
        {
            const Lock lock{mutex_};
            if (closed_ || at_hand_.size() >= reserve_) return;
        }
        std::byte* const block = source_.try_acquire(bytes_);
        if (block == nullptr) return;
        Lock lock{mutex_};
        ++live_;
        hand_on(lock, block);
    }
}

void SharedReservePool::replenish_or_throw() {
    replenish();
    const std::size_t filled = at_hand();
    if (filled == reserve_) return;
    throw Exhausted{backing_->title() + " gave " + std::to_string(filled) + " of the " +
                    count_to_text(reserve_, "block") + " of " + size_to_text(bytes_) +
                    " to keep in reserve"};
}

/// Call it with the lock. A hit is a request that the backing pool refused.
SharedReservePool::Block SharedReservePool::counted(std::byte* block, bool hit) noexcept {
    count(hit);
    peak_ = std::max(peak_, ++live_);
    peak_held_ = std::max(peak_held_, live_ + at_hand_.size());
    return {block, true, false};
}

SharedReservePool::Block SharedReservePool::acquire_from_backing() {
    std::byte* const block = source_.try_acquire(bytes_);
    if (block == nullptr) return {};
    const Lock lock{mutex_};
    return counted(block, false);
}

/// Call it with the lock.
SharedReservePool::Block SharedReservePool::acquire_from_reserve() {
    if (any_waiting() || at_hand_.empty()) return {};
    std::byte* const block = at_hand_.back();
    at_hand_.pop_back();
    return counted(block, true);
}

SharedReservePool::Block SharedReservePool::try_acquire() {
    look_elsewhere();
    {
        const Lock lock{mutex_};
        require_open();
        // Waiters come first, even if the backing pool has a block by now.
        if (any_waiting()) return {};
    }
    if (const Block block = acquire_from_backing()) return block;
    const Lock lock{mutex_};
    require_open();
    return acquire_from_reserve();
}

SharedReservePool::Block SharedReservePool::acquire_or_wait(const std::shared_ptr<Waiter>& waiter) {
    if (const Block block = try_acquire()) return block;
    const Lock lock{mutex_};
    require_open();
    if (const Block block = acquire_from_reserve()) return block;
    join_queue(waiter);
    return {};
}

bool SharedReservePool::look_elsewhere() noexcept {
    for (;;) {
        {
            const Lock lock{mutex_};
            if (!any_waiting()) return true;
        }
        std::byte* const block = source_.try_acquire(bytes_);
        if (block == nullptr) return true;
        Lock lock{mutex_};
        ++live_;
        hand_on(lock, block);
    }
}

void SharedReservePool::release(std::byte* block, std::size_t) noexcept {
    Lock lock{mutex_};
    hand_on(lock, block);
}

/// Passes a live block that its user has released to the first waiter, to the reserve, or to the
/// backing pool.
void SharedReservePool::hand_on(Lock& lock, std::byte* block) noexcept {
    if (any_waiting()) peak_ = std::max(peak_, live_);
    while (!grant(lock, {block, true, false})) {
        if (!closed_ && at_hand_.size() < reserve_) {
            at_hand_.push_back(block);
            --live_;
            peak_held_ = std::max(peak_held_, live_ + at_hand_.size());
            break;
        }
        ++operations_without_lock_;
        lock.unlock();
        source_.try_release(block, bytes_);
        lock.lock();
        --live_;
        // A caller that began to wait meanwhile did not find this block there, so look again.
        block = nullptr;
        if (any_waiting()) {
            lock.unlock();
            block = source_.try_acquire(bytes_);
            lock.lock();
        }
        --operations_without_lock_;
        if (block == nullptr) break;
        ++live_;
    }
    end_if_unused(lock);
}

void SharedReservePool::resize(std::size_t reserve) {
    require_reserve(reserve);
    std::vector<std::byte*> surplus;
    {
        const Lock lock{mutex_};
        require_open();
        at_hand_.reserve(reserve);
        if (at_hand_.size() > reserve) {
            surplus.assign(at_hand_.begin() + static_cast<std::ptrdiff_t>(reserve), at_hand_.end());
            at_hand_.resize(reserve);
        }
        reserve_ = reserve;
    }
    release_to_backing(surplus);
    look_elsewhere();
    replenish();
}

[[gnu::cold]] std::string SharedReservePool::refuse() {
    const Lock lock{mutex_};
    ++failures_;
    return title() + ": " + backing_->title() + " has no " + size_to_text(bytes_) + " left, and " +
           (reserve_ == 1 ? "the only block" : "all " + std::to_string(reserve_) + " blocks") +
           " in reserve " + (reserve_ == 1 ? "is" : "are") + " in use";
}

std::size_t SharedReservePool::reserve() const noexcept {
    const Lock lock{mutex_};
    return reserve_;
}

std::size_t SharedReservePool::at_hand() const noexcept {
    const Lock lock{mutex_};
    return at_hand_.size();
}

PoolFigures SharedReservePool::figures() const {
    const Lock lock{mutex_};
    PoolFigures figures;
    figures.requested = figures.in_use = live_ * bytes_;
    figures.peak = peak_ * bytes_;
    figures.cached = at_hand_.size() * bytes_;
    figures.committed = figures.mapped = figures.in_use + figures.cached;
    figures.peak_committed = peak_held_ * bytes_;
    figures.limit = PoolFigures::no_limit;
    figures.blocks = live_;
    add_counts(figures);
    figures.asked = figures.requests * bytes_;
    return figures;
}

void SharedReservePool::reset_peak() noexcept {
    const Lock lock{mutex_};
    peak_ = live_;
    peak_held_ = live_ + at_hand_.size();
}

[[gnu::cold]] void SharedReservePool::check() const {
    const Lock lock{mutex_};
    std::vector<std::byte*> blocks = at_hand_;
    std::ranges::sort(blocks);
    if (std::ranges::adjacent_find(blocks) != blocks.end())
        throw Corrupted{title() + ": a block is in the reserve twice"};
    if (blocks.size() > reserve_ || (closed_ && !blocks.empty()))
        throw Corrupted{title() + ": the reserve has more blocks than it may keep"};
    if (any_waiting() && !blocks.empty())
        throw Corrupted{title() + ": a request waits while the reserve has a block"};
}

void SharedReservePool::close() noexcept {
    Lock lock{mutex_};
    closed_ = true;
    const std::vector<std::byte*> blocks = std::move(at_hand_);
    at_hand_.clear();
    lock.unlock();
    release_to_backing(blocks);
    WaitingPool::close();
}

}  // namespace numpool::threads
