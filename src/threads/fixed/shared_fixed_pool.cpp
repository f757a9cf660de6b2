#include "threads/fixed/shared_fixed_pool.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/error.hpp"
#include "base/size.hpp"
#include "base/size_text.hpp"

namespace numpool::threads {
namespace {

using pools::FixedPool;

SharedFixedPoolOptions with_ledger_and_fences(SharedFixedPoolOptions options) {
    options.ledger = true;
    // What is no size for a block is refused as it is.
    if (options.block_size - 1 < max_size) options.block_size += options.fences;
    return options;
}

/// Bounded in bytes, as in other pools, and by an eighth of all blocks.
std::vector<pools::MagazineBounds> bounds_of_magazines(const FixedPool& pool) {
    const std::size_t most =
        std::min(pools::Magazines::most_bytes / pool.stride(), pool.max_blocks() / 8);
    const auto capacity = std::clamp<std::size_t>(most, 1, pools::Magazines::most_blocks);
    return {{pool.stride(), capacity, capacity}};
}

}  // namespace

PoolHandle<SharedFixedPool> SharedFixedPool::create(const SharedFixedPoolOptions& options,
                                                    pages::SourceHandle source) {
    return PoolHandle{new SharedFixedPool{options, std::move(source)}};
}

SharedFixedPool::SharedFixedPool(const SharedFixedPoolOptions& options, pages::SourceHandle source)
    : WaitingPool{"FixedPool", options.name, rank_on(source)},
      source_{std::move(source)},
      pool_{std::in_place, with_ledger_and_fences(options), *source_},
      wipe_{options.wipe},
      constructs_{options.keep_contents},
      threads_{this, bounds_of_magazines(*pool_), first_key(this, wipe_)},
      block_size_{pool_->block_size() - options.fences},
      room_{pool_->block_size()},
      align_{pool_->align()},
      stride_{pool_->stride()},
      max_blocks_{pool_->max_blocks()} {
    follow_at_fork(*source_);
}

/// The ledger contradicts a release or an acquire: the block would have two users. It is not safe
/// to go on.
void SharedFixedPool::stop_at(const void* block) const noexcept {
    std::fprintf(stderr, "numpool: FixedPool '%s': block %p was released twice or is not its own\n",
                 name().c_str(), block);
    std::abort();
}

SharedFixedPool::Block SharedFixedPool::acquire_locked() noexcept {
    // Waiters come first, even where the pool could grow by now.
    if (any_waiting()) return {};
    Block block = pool_->acquire_without_growing();
    if (!block) {
        gather();
        block = pool_->acquire();
        if (!block) return {};
        note_out(1);
        open_gates_if_plenty();
    } else {
        note_out(1);
    }
    record_acquire({block.start, pool_->entry_of(block.start)});
    count(block.constructed);
    if (wipe_ && !block.zero) {
        wipe_link(block.start);
        block.zero = true;
    }
    check_each_time();
    return block;
}

void SharedFixedPool::note_out(std::size_t blocks) noexcept {
    out_ += blocks;
    peak_ = std::max(peak_, out_);
}

bool SharedFixedPool::try_acquire_many(std::span<Block> blocks) {
    Lock lock{mutex_};
    require_open();
    if (stock() < blocks.size()) gather();
    if (blocks.size() > max_blocks_ - out_) return false;
    std::size_t taken = 0;
    while (taken < blocks.size() && (blocks[taken] = acquire_locked())) ++taken;
    if (taken == blocks.size()) return true;
    for (const Block& block : blocks.first(taken)) {
        uncount(block.constructed);
        put_back(block.start, block.constructed);
    }
    return false;
}

SharedFixedPool::Block SharedFixedPool::acquire_or_wait(const std::shared_ptr<Waiter>& waiter) {
    const Lock lock{mutex_};
    require_open();
    if (const Block block = acquire_locked()) return block;
    join_queue(waiter);
    return {};
}

void SharedFixedPool::put_back(std::byte* block, bool constructed) noexcept {
    const bool known = constructed ? pool_->release_recorded(block) : pool_->release_unused(block);
    if (!known) stop_at(block);
    --out_;
    check_each_time();
}

void SharedFixedPool::release_unused(std::byte* block) noexcept {
    Lock lock{mutex_};
    open_gates_if_due();
    hand_on(lock, Block{block, false, false});
}

/// Grants a live block to the first waiter, or else puts it back into the pool.
void SharedFixedPool::hand_on(Lock& lock, Block block) noexcept {
    if (!pool_ || !pool_->is_live(block.start)) stop_at(block.start);
    if (!grant(lock, block)) put_back(block.start, block.constructed);
    end_if_unused(lock);
}

void SharedFixedPool::end_memory() noexcept {
    if (!pool_) return;
    note_committed();
    growths_ = pool_->growths();
    pool_.reset();
}

[[gnu::cold]] std::string SharedFixedPool::refuse(std::size_t wanted) {
    const Lock lock{mutex_};
    ++failures_;
    const std::size_t blocks = pool_ ? pool_->blocks() : 0;
    const std::size_t left = max_blocks_ - live();
    std::string text = title() + ": ";
    if (wanted > max_blocks_) {
        text += "asked for " + std::to_string(wanted) +
                " blocks at once, but it never has more "
                "than " +
                std::to_string(max_blocks_);
    } else if (wanted > left && wanted > 1) {
        text += "asked for " + std::to_string(wanted) + " blocks at once, " + std::to_string(left) +
                " of at most " + std::to_string(max_blocks_) + " are left";
    } else if (left != 0) {
        text += "the system refused memory to grow beyond " + count_to_text(blocks, "block") +
                " of " + size_to_text(block_size_) + source_->refusal_clause();
    } else {
        const std::string size = size_to_text(block_size_);
        text += max_blocks_ == 1
                    ? "its only block, of " + size + ", is in use"
                    : "all " + std::to_string(max_blocks_) + " blocks of " + size + " are in use";
    }
    return text;
}

bool SharedFixedPool::contains(const std::byte* address) const noexcept {
    return pool_ && pool_->owns(address);
}

/// From here on every release takes the lock, so the last one can end the pool.
void SharedFixedPool::end_thread_caches() noexcept {
    const std::lock_guard links{links_mutex()};
    const Lock lock{mutex_};
    threads_.close(to_pool());
}

void SharedFixedPool::last_handle_goes() noexcept {
    end_thread_caches();
    Lock lock{mutex_};
    if (out_ == 0) return;
    lock.unlock();
    only_blocks_left();
}

/// The bytes of blocks that may have pages. Call it with the lock.
std::size_t SharedFixedPool::committed() const noexcept {
    return pool_ ? (pool_->blocks() - pool_->fresh_blocks()) * stride_ : 0;
}

PoolFigures SharedFixedPool::figures() const {
    const Lock lock{mutex_};
    const std::size_t live = this->live();
    std::size_t served = 0;
    threads_.for_each([&](const Threads::Magazines& magazines) {
        served += static_cast<std::size_t>(magazines[0].requests());
    });
    PoolFigures figures;
    figures.requested = live * block_size_;
    figures.in_use = live * stride_;
    figures.peak = peak_ * stride_;
    figures.committed = committed();
    figures.peak_committed = std::max(peak_committed_, figures.committed);
    if (pool_) {
        figures.cached = figures.committed - figures.in_use;
        figures.mapped = pool_->mapped();
    }
    figures.limit = max_blocks_ == pools::FixedPoolOptions::unbounded ? PoolFigures::no_limit
                                                                      : max_blocks_ * stride_;
    figures.blocks = live;
    figures.requests = figures.hits = served;
    add_counts(figures);
    figures.in_file = source_->bytes_on_disk();
    figures.asked = figures.requests * block_size_;
    figures.growths = pool_ ? pool_->growths() : growths_;
    return figures;
}

std::size_t SharedFixedPool::trim() {
    const Lock lock{mutex_};
    if (!pool_) return 0;
    const Threads::AllOutside outside{threads_};
    threads_.empty_all(to_pool());
    note_committed();
    const std::size_t bytes = pool_->trim();
    check_each_time();
    return bytes;
}

void SharedFixedPool::reset_peak() noexcept {
    const Lock lock{mutex_};
    if (!pool_) return;
    const Threads::AllOutside outside{threads_};
    threads_.empty_all(to_pool());
    peak_ = out_;
    peak_committed_ = committed();
}

[[gnu::cold]] void SharedFixedPool::check() const {
    const Lock lock{mutex_};
    if (pool_) check_all();
}

[[gnu::cold]] void SharedFixedPool::check_all() const {
    const Threads::AllOutside outside{threads_};
    std::vector<pools::RecordedBlock> at_hand;
    threads_.for_each([&](const Threads::Magazines& magazines) {
        at_hand.insert(at_hand.end(), magazines[0].begin(), magazines[0].end());
    });
    if (pool_->check(at_hand) + at_hand.size() != out_)
        throw Corrupted{"the number of live blocks is wrong"};
}

void SharedFixedPool::check_each_time() const noexcept {
#ifdef NUMPOOL_CHECKS
    if (pool_->blocks() <= 256) check_all();
#endif
}

std::size_t SharedFixedPool::blocks() const noexcept {
    const Lock lock{mutex_};
    return pool_ ? pool_->blocks() : 0;
}

}  // namespace numpool::threads
