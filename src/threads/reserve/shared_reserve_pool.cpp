#include "threads/reserve/shared_reserve_pool.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/size_text.hpp"

namespace numpool::threads {
namespace {

void require_reserve(std::size_t reserve) {
    if (reserve == 0) {
        throw BadArgument{"reserve is 0: whoever waits could wait for ever, so keep at least 1"};
    }
}

}  // namespace

PoolHandle<SharedReservePool> SharedReservePool::create(const SharedReservePoolOptions& options,
                                                        Pool& backing, ByteSource& source) {
    PoolHandle pool{new SharedReservePool{options, backing, source}};
    pool->fill_or_throw();
    return pool;
}

SharedReservePool::SharedReservePool(const SharedReservePoolOptions& options, Pool& backing,
                                     ByteSource& source)
    : reserve_{options.reserve},
      backing_{&backing},
      source_{source},
      bytes_{options.bytes},
      name_{options.name} {
    require_reserve(reserve_);
    at_hand_.reserve(reserve_);
    guard();
}

SharedReservePool::~SharedReservePool() {
    unguard();
    give_back(at_hand_);
}

void SharedReservePool::require_open() const {
    if (!closed_) return;
    throw Closed{title() + " is closed and takes no more requests"};
}

void SharedReservePool::give_back(const std::vector<std::byte*>& blocks) noexcept {
    for (std::byte* const block : blocks) source_.try_release(block, bytes_);
}

/// Asks the backing pool for what the reserve lacks.
void SharedReservePool::fill() {
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

void SharedReservePool::fill_or_throw() {
    fill();
    const std::size_t filled = at_hand();
    if (filled == reserve_) return;
    throw Exhausted{backing_->title() + " gave " + std::to_string(filled) + " of the " +
                    std::to_string(reserve_) + " blocks of " + size_to_text(bytes_) +
                    " to keep in reserve"};
}

void SharedReservePool::count_request() noexcept {
    ++requests_;
    peak_ = std::max(peak_, ++live_);
    peak_held_ = std::max(peak_held_, live_ + at_hand_.size());
}

SharedReservePool::Block SharedReservePool::take_from_backing() {
    std::byte* const block = source_.try_acquire(bytes_);
    if (block == nullptr) return {};
    const Lock lock{mutex_};
    count_request();
    return {block, true, false};
}

/// Call it with the lock.
SharedReservePool::Block SharedReservePool::take_from_reserve() {
    if (!queue_.empty() || at_hand_.empty()) return {};
    std::byte* const block = at_hand_.back();
    at_hand_.pop_back();
    count_request();
    ++hits_;
    return {block, true, false};
}

SharedReservePool::Block SharedReservePool::try_acquire() {
    look_elsewhere();
    {
        const Lock lock{mutex_};
        require_open();
        // Those who wait come first, even where the backing pool has something by now.
        if (!queue_.empty()) return {};
    }
    if (const Block block = take_from_backing()) return block;
    const Lock lock{mutex_};
    require_open();
    return take_from_reserve();
}

SharedReservePool::Block SharedReservePool::acquire_or_wait(const std::shared_ptr<Waiter>& waiter) {
    if (const Block block = try_acquire()) return block;
    const Lock lock{mutex_};
    require_open();
    if (const Block block = take_from_reserve()) return block;
    queue_.join(waiter);
    ++waits_;
    return {};
}

bool SharedReservePool::look_elsewhere() noexcept {
    for (;;) {
        {
            const Lock lock{mutex_};
            if (queue_.empty()) return true;
        }
        std::byte* const block = source_.try_acquire(bytes_);
        if (block == nullptr) return true;
        Lock lock{mutex_};
        ++live_;
        hand_on(lock, block);
    }
}

Waiter::State SharedReservePool::state_of(const Waiter& waiter) const noexcept {
    const Lock lock{mutex_};
    return WaitQueue::state(waiter);
}

SharedReservePool::Block SharedReservePool::collect(Waiter& waiter) noexcept {
    const Lock lock{mutex_};
    return queue_.collect(waiter);
}

void SharedReservePool::release(std::byte* block, std::size_t) noexcept {
    Lock lock{mutex_};
    hand_on(lock, block);
}

/// Gives a live block to the first who waits and can still be told. False where there is none.
bool SharedReservePool::grant(Lock& lock, std::byte* block) noexcept {
    while (!queue_.empty()) {
        const std::shared_ptr<Waiter> waiter = queue_.grant({block, true, false});
        ++requests_;
        ++hits_;
        peak_ = std::max(peak_, live_);
        // The waiter may be quick: collect, release, and drop the last handle but this.
        ++handles_;
        lock.unlock();
        const bool told = waiter->notify();
        lock.lock();
        --handles_;
        if (told || !queue_.collect(*waiter)) return true;
        --requests_;
        --hits_;
    }
    return false;
}

/// Where a live block goes that its user has let go.
void SharedReservePool::hand_on(Lock& lock, std::byte* block) noexcept {
    while (!grant(lock, block)) {
        if (!closed_ && at_hand_.size() < reserve_) {
            at_hand_.push_back(block);
            --live_;
            peak_held_ = std::max(peak_held_, live_ + at_hand_.size());
            break;
        }
        // It counts as live meanwhile, so that the pool stays.
        lock.unlock();
        source_.try_release(block, bytes_);
        lock.lock();
        --live_;
        // Whoever began to wait just now did not see it there.
        if (queue_.empty()) break;
        ++handles_;
        lock.unlock();
        block = source_.try_acquire(bytes_);
        lock.lock();
        --handles_;
        if (block == nullptr) break;
        ++live_;
    }
    settle(lock);
}

/// What follows when a block or a handle has gone.
void SharedReservePool::settle(Lock& lock) noexcept {
    if (live_ != 0 || handles_ != 0) return;
    lock.unlock();
    delete this;
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
    give_back(surplus);
    look_elsewhere();
    fill();
}

[[gnu::cold]] std::string SharedReservePool::refuse() {
    const Lock lock{mutex_};
    ++failures_;
    return title() + ": " + backing_->title() + " has no " + size_to_text(bytes_) +
           " left, and the " + std::to_string(reserve_) + " blocks in reserve are in use";
}

std::size_t SharedReservePool::reserve() const noexcept {
    const Lock lock{mutex_};
    return reserve_;
}

std::size_t SharedReservePool::at_hand() const noexcept {
    const Lock lock{mutex_};
    return at_hand_.size();
}

void SharedReservePool::add_handle() noexcept {
    const Lock lock{mutex_};
    ++handles_;
}

void SharedReservePool::drop_handle() noexcept {
    Lock lock{mutex_};
    --handles_;
    settle(lock);
}

[[gnu::cold]] std::string SharedReservePool::title() const {
    return name_.empty() ? "ReservePool" : "ReservePool '" + name_ + "'";
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
    figures.requests = requests_;
    figures.asked = requests_ * bytes_;
    figures.hits = hits_;
    figures.waits = waits_;
    figures.failures = failures_;
    return figures;
}

[[gnu::cold]] void SharedReservePool::check() const {
    const Lock lock{mutex_};
    std::vector<std::byte*> blocks = at_hand_;
    std::ranges::sort(blocks);
    if (std::ranges::adjacent_find(blocks) != blocks.end())
        throw Corrupted{title() + ": a block is in the reserve twice"};
    if (blocks.size() > reserve_ || (closed_ && !blocks.empty()))
        throw Corrupted{title() + ": more blocks are in reserve than are to be"};
    if (!queue_.empty() && !blocks.empty())
        throw Corrupted{title() + ": somebody waits while there is a block in reserve"};
}

void SharedReservePool::close() noexcept {
    Lock lock{mutex_};
    closed_ = true;
    const auto waiters = queue_.close();
    const std::vector<std::byte*> blocks = std::move(at_hand_);
    at_hand_.clear();
    lock.unlock();
    give_back(blocks);
    for (const auto& waiter : waiters) waiter->notify();
}

bool SharedReservePool::closed() const noexcept {
    const Lock lock{mutex_};
    return closed_;
}

void SharedReservePool::unlock_in_child() noexcept {
    queue_.forget();
    mutex_.unlock();
}

}  // namespace numpool::threads
