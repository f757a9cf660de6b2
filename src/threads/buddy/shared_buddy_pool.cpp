#include "threads/buddy/shared_buddy_pool.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/error.hpp"
#include "base/size_text.hpp"

namespace numpool::threads {
namespace {

/// In debug builds small pools check themselves after each operation.
void check_each_time([[maybe_unused]] const std::optional<pools::BuddyPool>& pool) {
#ifdef NUMPOOL_CHECKS
    if (pool && pool->capacity() / pool->min_block() <= 1024) pool->check();
#endif
}

[[noreturn]] void stop_at_foreign_block(const std::string& title, const void* block) {
    std::fprintf(stderr, "numpool: %s: block %p was released twice or is not its own\n",
                 title.c_str(), block);
    std::abort();
}

}  // namespace

PoolHandle<SharedBuddyPool> SharedBuddyPool::create(const SharedBuddyPoolOptions& options,
                                                    pages::SourceHandle source) {
    return PoolHandle{new SharedBuddyPool{options, std::move(source)}};
}

SharedBuddyPool::SharedBuddyPool(const SharedBuddyPoolOptions& options, pages::SourceHandle source)
    : PoolLifecycle{"BuddyPool", options.name, rank_on(source)},
      source_{std::move(source)},
      pool_{std::in_place, options.capacity, options.min_block, *source_},
      capacity_{pool_->capacity()},
      min_block_{pool_->min_block()} {
    history_.limit = capacity_;
    follow_at_fork(*source_);
}

SharedBuddyPool::Block SharedBuddyPool::acquire_block(std::size_t bytes) noexcept {
    const Lock lock{mutex_};
    Block block;
    if (!closed_) block = pool_->acquire(bytes);
    if (block.start == nullptr) {
        ++history_.failures;
        return {};
    }
    ++history_.requests;
    history_.asked += bytes;
    if (!block.zero) ++history_.hits;
    note_peaks();
    check_each_time(pool_);
    return block;
}

void SharedBuddyPool::note_peaks() noexcept {
    history_.peak = std::max(history_.peak, pool_->in_use());
    history_.peak_committed = std::max(history_.peak_committed, pool_->committed());
}

std::byte* SharedBuddyPool::try_acquire(std::size_t bytes) noexcept {
    return acquire_block(bytes).start;
}

std::byte* SharedBuddyPool::try_acquire_zeroed(std::size_t bytes) noexcept {
    const Block block = acquire_block(bytes);
    if (block.start != nullptr && !block.zero) std::memset(block.start, 0, bytes);
    return block.start;
}

std::byte* SharedBuddyPool::acquire(std::size_t bytes) {
    return checked(try_acquire(bytes), bytes);
}

std::byte* SharedBuddyPool::reallocate(std::byte* block, std::size_t bytes) {
    return checked(try_reallocate(block, bytes), bytes);
}

std::byte* SharedBuddyPool::checked(std::byte* block, std::size_t bytes) const {
    if (block != nullptr) return block;
    const Lock lock{mutex_};
    require_open();
    throw Exhausted{refusal_text(bytes)};
}

[[gnu::cold]] std::string SharedBuddyPool::refusal_text(std::size_t bytes) const {
    return title() + ": " + size_to_text(bytes) + " requested; of " + size_to_text(capacity_) +
           ", " + size_to_text(pool_->free_bytes()) + " are free, the largest block of them " +
           size_to_text(pool_->largest_free());
}

[[gnu::cold]] std::string SharedBuddyPool::refusal(std::size_t bytes) const {
    const Lock lock{mutex_};
    return closed_ ? closed_text() : refusal_text(bytes);
}

bool SharedBuddyPool::try_release(void* block, std::size_t) noexcept {
    if (block == nullptr) return true;
    Lock lock{mutex_};
    if (!pool_ || !pool_->release(static_cast<const std::byte*>(block))) return false;
    check_each_time(pool_);
    end_if_unused(lock);
    return true;
}

void SharedBuddyPool::release(std::byte* block, std::size_t bytes) noexcept {
    if (!try_release(block, bytes)) stop_at_foreign_block(title(), block);
}

std::byte* SharedBuddyPool::try_reallocate(void* block, std::size_t bytes) noexcept {
    if (block == nullptr) return try_acquire(bytes);
    auto* const start = static_cast<std::byte*>(block);
    std::size_t kept = 0;
    {
        const Lock lock{mutex_};
        if (!pool_ || closed_) return nullptr;
        if (pool_->resize(start, bytes)) {
            note_peaks();
            check_each_time(pool_);
            return start;
        }
        kept = std::min(bytes, pool_->block_size(start));
    }
    if (kept == 0) return nullptr;  // A foreign block.
    std::byte* const moved = try_acquire(bytes);
    if (moved == nullptr) return nullptr;
    std::memcpy(moved, start, kept);
    try_release(start, 0);
    return moved;
}

std::size_t SharedBuddyPool::usable_size(const void* block) const noexcept {
    const Lock lock{mutex_};
    return pool_ ? pool_->block_size(static_cast<const std::byte*>(block)) : 0;
}

bool SharedBuddyPool::contains(const std::byte* address) const noexcept {
    return pool_ && pool_->owns(address);
}

void SharedBuddyPool::end_memory() noexcept {
    pool_.reset();
}

PoolFigures SharedBuddyPool::figures() const {
    const Lock lock{mutex_};
    PoolFigures figures = history_;
    figures.in_file = source_->bytes_on_disk();
    if (!pool_) return figures;
    figures.requested = pool_->total_requested();
    figures.in_use = pool_->in_use();
    figures.committed = pool_->committed();
    figures.cached = figures.committed - figures.in_use;
    figures.mapped = pool_->mapped();
    figures.blocks = pool_->blocks();
    return figures;
}

std::vector<OrderFigures> SharedBuddyPool::order_figures() const {
    std::vector<OrderFigures> all;
    const Lock lock{mutex_};
    if (!pool_) return all;
    for (unsigned order = 0; order <= pool_->largest_order(); ++order) {
        all.push_back({min_block_ << order, pool_->free_blocks(order), pool_->live_blocks(order),
                       pool_->live_requested(order), pool_->requests(order), pool_->asked(order)});
    }
    return all;
}

double SharedBuddyPool::fragmentation() const noexcept {
    const Lock lock{mutex_};
    if (!pool_ || pool_->free_bytes() == 0) return 0;
    return 1 -
           static_cast<double>(pool_->largest_free()) / static_cast<double>(pool_->free_bytes());
}

std::size_t SharedBuddyPool::trim() {
    const Lock lock{mutex_};
    const std::size_t bytes = pool_ ? pool_->trim() : 0;
    check_each_time(pool_);
    return bytes;
}

void SharedBuddyPool::reset_peak() noexcept {
    const Lock lock{mutex_};
    if (!pool_) return;
    history_.peak = pool_->in_use();
    history_.peak_committed = pool_->committed();
}

[[gnu::cold]] void SharedBuddyPool::check() const {
    const Lock lock{mutex_};
    if (pool_) pool_->check();
}

}  // namespace numpool::threads
