#include "threads/shared_fixed_pool.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/error.hpp"
#include "base/size_text.hpp"

namespace numpool::threads {
namespace {

using pools::FixedPool;

SharedFixedPoolOptions with_ledger(SharedFixedPoolOptions options) {
    options.ledger = true;
    return options;
}

/// In debug builds every operation is followed by a check, on pools small enough for it.
void check_each_time([[maybe_unused]] const FixedPool& pool) {
#ifdef NUMPOOL_CHECKS
    if (pool.blocks() <= 256) pool.check();
#endif
}

/// A block came back that is not live. Whoever holds it now would share it: nothing is safe after.
[[noreturn]] void stop_at_foreign_block(const char* name, const void* block) {
    std::fprintf(stderr, "numpool: FixedPool '%s': block %p was released twice or is not its own\n",
                 name, block);
    std::abort();
}

}  // namespace

PoolHandle<SharedFixedPool> SharedFixedPool::create(const SharedFixedPoolOptions& options,
                                                    pages::SourceHandle source) {
    return PoolHandle{new SharedFixedPool{options, std::move(source)}};
}

SharedFixedPool::SharedFixedPool(const SharedFixedPoolOptions& options, pages::SourceHandle source)
    : source_{std::move(source)},
      pool_{std::in_place, with_ledger(options), *source_},
      wipe_{options.wipe},
      constructs_{options.keep_contents},
      block_size_{pool_->block_size()},
      align_{pool_->align()},
      stride_{pool_->stride()},
      max_blocks_{pool_->max_blocks()},
      name_{options.name} {
    guard(source_.is_kept() ? Rank::drawing : Rank::outer);
}

SharedFixedPool::~SharedFixedPool() {
    unguard();
}

void SharedFixedPool::require_open() const {
    if (!closed_) return;
    throw Closed{title() + " is closed and takes no more requests"};
}

SharedFixedPool::Block SharedFixedPool::take() {
    // Those who wait come first, even where the pool could grow by now.
    if (!queue_.empty()) return {};
    Block block = pool_->acquire_recorded();
    if (!block) return {};
    ++requests_;
    if (block.constructed) ++hits_;
    peak_ = std::max(peak_, ++live_);
    if (wipe_ && !block.zero) {
        // The free list's link is all that a wiped block holds.
        std::memset(block.start, 0, std::min(block_size_, sizeof(std::byte*)));
        block.zero = true;
    }
    check_each_time(*pool_);
    return block;
}

SharedFixedPool::Block SharedFixedPool::try_acquire() {
    const Lock lock{mutex_};
    require_open();
    return take();
}

bool SharedFixedPool::try_acquire_many(std::span<Block> blocks) {
    Lock lock{mutex_};
    require_open();
    if (blocks.size() > max_blocks_ - live_) return false;
    std::size_t taken = 0;
    while (taken < blocks.size() && (blocks[taken] = take())) ++taken;
    if (taken == blocks.size()) return true;
    for (const Block& block : blocks.first(taken)) put_back(block.start, block.constructed);
    requests_ -= taken;
    return false;
}

SharedFixedPool::Block SharedFixedPool::acquire_or_wait(const std::shared_ptr<Waiter>& waiter) {
    const Lock lock{mutex_};
    require_open();
    if (const Block block = take()) return block;
    queue_.join(waiter);
    ++waits_;
    return {};
}

Waiter::State SharedFixedPool::state_of(const Waiter& waiter) const noexcept {
    const Lock lock{mutex_};
    return WaitQueue::state(waiter);
}

SharedFixedPool::Block SharedFixedPool::collect(Waiter& waiter) noexcept {
    const Lock lock{mutex_};
    return queue_.collect(waiter);
}

void SharedFixedPool::put_back(std::byte* block, bool constructed) noexcept {
    const bool known = constructed ? pool_->release_recorded(block) : pool_->release_unused(block);
    if (!known) stop_at_foreign_block(name_.c_str(), block);
    --live_;
    check_each_time(*pool_);
}

void SharedFixedPool::release(std::byte* block, std::size_t) noexcept {
    if (wipe_) std::memset(block, 0, block_size_);
    Lock lock{mutex_};
    hand_on(lock, Block{block, true, wipe_});
}

void SharedFixedPool::release_unused(std::byte* block) noexcept {
    Lock lock{mutex_};
    hand_on(lock, Block{block, false, false});
}

/// Gives a live block to the first who waits and can still be told, or else back to the pool.
void SharedFixedPool::hand_on(Lock& lock, Block block) noexcept {
    while (!queue_.empty()) {
        const std::shared_ptr<Waiter> waiter = queue_.grant(block);
        ++requests_;
        if (block.constructed) ++hits_;
        // The waiter may be quick: collect, release, and drop the last handle but this.
        ++handles_;
        lock.unlock();
        const bool told = waiter->notify();
        lock.lock();
        --handles_;
        if (told || !queue_.collect(*waiter)) return settle(lock);
        --requests_;
    }
    put_back(block.start, block.constructed);
    settle(lock);
}

void SharedFixedPool::end_pool() noexcept {
    if (!pool_) return;
    note_committed();
    growths_ = pool_->growths();
    pool_.reset();
}

/// What follows when a block or a handle has gone: the memory goes back, or the pool itself goes.
void SharedFixedPool::settle(Lock& lock) noexcept {
    if (live_ != 0) return;
    if (closed_) end_pool();
    if (handles_ != 0) return;
    lock.unlock();
    delete this;
}

std::string SharedFixedPool::refuse(std::size_t wanted) {
    const Lock lock{mutex_};
    ++failures_;
    const std::size_t blocks = pool_ ? pool_->blocks() : 0;
    std::string text = title() + ": ";
    if (wanted > max_blocks_ - live_ && wanted > 1) {
        text += "asked for " + std::to_string(wanted) + " blocks at once, " +
                std::to_string(max_blocks_ - live_) + " of at most " + std::to_string(max_blocks_) +
                " are left";
    } else if (live_ < max_blocks_) {
        text += "the system refused memory to grow beyond " + std::to_string(blocks) +
                " blocks of " + size_to_text(block_size_);
    } else {
        text += "all " + std::to_string(max_blocks_) + " blocks of " + size_to_text(block_size_) +
                " are in use";
    }
    return text;
}

void SharedFixedPool::add_handle() noexcept {
    const Lock lock{mutex_};
    ++handles_;
}

void SharedFixedPool::drop_handle() noexcept {
    Lock lock{mutex_};
    if (handles_ == 1 && live_ != 0) {
        lock.unlock();
        only_blocks_left();
        lock.lock();
    }
    --handles_;
    settle(lock);
}

std::string SharedFixedPool::title() const {
    return name_.empty() ? "FixedPool" : "FixedPool '" + name_ + "'";
}

bool SharedFixedPool::owns(const std::byte* address) const noexcept {
    const Lock lock{mutex_};
    return pool_ && pool_->owns(address);
}

/// Bytes of blocks that may have pages. The lock is held.
std::size_t SharedFixedPool::committed() const noexcept {
    return pool_ ? (pool_->blocks() - pool_->fresh_blocks()) * stride_ : 0;
}

PoolFigures SharedFixedPool::figures() const {
    const Lock lock{mutex_};
    PoolFigures figures;
    figures.requested = live_ * block_size_;
    figures.in_use = live_ * stride_;
    figures.peak = peak_ * stride_;
    figures.committed = committed();
    figures.peak_committed = std::max(peak_committed_, figures.committed);
    if (pool_) {
        figures.cached = figures.committed - figures.in_use;
        figures.mapped = pool_->mapped();
    }
    figures.limit = max_blocks_ == pools::FixedPoolOptions::unbounded ? PoolFigures::no_limit
                                                                      : max_blocks_ * stride_;
    figures.blocks = live_;
    figures.requests = requests_;
    figures.asked = requests_ * block_size_;
    figures.hits = hits_;
    figures.growths = pool_ ? pool_->growths() : growths_;
    figures.waits = waits_;
    figures.failures = failures_;
    return figures;
}

std::size_t SharedFixedPool::trim() {
    const Lock lock{mutex_};
    if (!pool_) return 0;
    note_committed();
    const std::size_t bytes = pool_->trim();
    check_each_time(*pool_);
    return bytes;
}

void SharedFixedPool::check() const {
    const Lock lock{mutex_};
    if (!pool_) return;
    if (pool_->check() != live_) throw Corrupted{"the number of live blocks is wrong"};
}

void SharedFixedPool::close() noexcept {
    Lock lock{mutex_};
    closed_ = true;
    const auto waiters = queue_.close();
    if (live_ == 0) end_pool();
    lock.unlock();
    for (const auto& waiter : waiters) waiter->notify();
}

bool SharedFixedPool::closed() const noexcept {
    const Lock lock{mutex_};
    return closed_;
}

std::size_t SharedFixedPool::blocks() const noexcept {
    const Lock lock{mutex_};
    return pool_ ? pool_->blocks() : 0;
}

void SharedFixedPool::unlock_in_child() noexcept {
    queue_.forget();
    mutex_.unlock();
}

}  // namespace numpool::threads
