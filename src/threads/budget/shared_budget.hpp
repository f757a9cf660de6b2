#pragma once

#include <string>

#include "threads/budget/block_times.hpp"
#include "threads/budget/budget_account.hpp"
#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/pool_lifecycle.hpp"
#include "threads/slab/shared_slab_pool.hpp"

namespace numpool::threads {

struct SharedBudgetOptions {
    /// The most bytes that may be in use.
    std::size_t limit = BudgetAccount::unbounded;
    /// `soft_crossed` is called when more bytes than this come into use.
    std::size_t soft = BudgetAccount::unbounded;
    std::string name;
};

/// Another pool's blocks, counted: those that were acquired here count from then on until they are
/// released here. It holds no memory of its own.
///
/// A budget may have an outer one, and then all of its blocks count against that one, too. A block
/// counts with the bytes that it takes in its source: a small one of a slab pool with those of its
/// size class, a large one as requested.
///
/// A source's blocks do not show whether they were counted. So each block must be released where it
/// was acquired: here, or at the source.
class SharedBudget : public PoolLifecycle, public ByteSource {
  public:
    /// A budget over `source`. If that is a budget, it is the outer one, and the blocks come from
    /// its source; then `outer` is ignored. Throws std::bad_cast where `source` is no ByteSource.
    static PoolHandle<SharedBudget> create(const SharedBudgetOptions& options, Pool& source,
                                           SharedBudget* outer = nullptr);

    std::byte* try_acquire(std::size_t bytes) noexcept final { return acquire_slow(bytes, false); }
    std::byte* try_acquire_zeroed(std::size_t bytes) noexcept final {
        return acquire_slow(bytes, true);
    }
    bool try_release(void* block, std::size_t bytes) noexcept final {
        return release_slow(block, bytes);
    }

    /// The fast paths of AllocatorFunctions, as SharedSlabPool has them: for small blocks of a slab
    /// pool that the calling thread has at hand, in a budget that is in no other.
    pools::FreeBlock acquire_at_hand(std::size_t bytes) noexcept {
        if (alone_ == nullptr || bytes > SizeClasses::largest) [[unlikely]]
            return {nullptr, false};
        const std::size_t size = alone_->block_bytes(bytes);
        const std::size_t after = account_.add(size);
        if (after == 0 || account_.is_notable(after)) [[unlikely]]
            return undone(after, size);
        const pools::FreeBlock block = alone_->acquire_at_hand(bytes);
        if (!block) [[unlikely]]
            return undone(after, size);
        account_.count_request(bytes);
        return block;
    }
    bool release_at_hand(void* block, std::size_t bytes) noexcept {
        if (alone_ == nullptr) [[unlikely]]
            return false;
        // The slab pool itself would also take a block of another pool that is at hand.
        const std::size_t size = alone_->small_bytes_of(block);
        if (size == 0 || !alone_->release_at_hand(block, bytes)) [[unlikely]]
            return false;
        if (account_.subtract(size)) [[unlikely]]
            open_again();
        account_.count_release();
        return true;
    }
    std::byte* acquire_slow(std::size_t bytes, bool zeroed) noexcept;
    bool release_slow(void* block, std::size_t bytes) noexcept;
    /// Where the source is no slab pool, a block that grows is copied.
    std::byte* try_reallocate(void* block, std::size_t bytes) noexcept final;
    std::size_t usable_size(const void* block) const noexcept final {
        return source_.usable_size(block);
    }
    /// Never: another source would hide the limit.
    bool leaves_to_others(std::size_t) const noexcept final { return false; }
    std::string refusal(std::size_t bytes) const final;

    /// A block that keeps this budget alive until `release`. Null where it is refused.
    std::byte* try_acquire_held(std::size_t bytes) noexcept;
    /// Such a block. Throws Exhausted, whose text names the budget that refused; Closed.
    std::byte* acquire(std::size_t bytes);
    /// For a block of these two functions.
    void release(std::byte* block, std::size_t bytes = 0) noexcept final;

    bool owns(const std::byte* address) const noexcept final { return bottom_->owns(address); }
    PoolFigures figures() const final { return account_.figures(); }
    /// Of the pool that the blocks come from.
    std::size_t trim() final { return bottom_->trim(); }
    void reset_peak() noexcept final { account_.reset_peak(); }
    void check() const final;
    void close() noexcept final;
    bool may_be_drawn_on() const noexcept final { return bottom_->may_be_drawn_on(); }

    /// The pool that the blocks come from: no budget.
    Pool& bottom() const noexcept { return *bottom_; }
    /// The next budget that its blocks count against; null where there is none.
    SharedBudget* outer() const noexcept { return outer_.get(); }
    /// Whether this one's blocks count against that budget.
    bool counts_against(const SharedBudget& other) const noexcept;
    std::size_t limit() const noexcept { return account_.limit; }
    std::size_t soft() const noexcept { return account_.soft; }
    /// The slab pool that the blocks come from, if they come from one directly.
    SharedSlabPool* slabs() const noexcept { return slabs_; }

    /// For how many milliseconds a live block of this budget has had its size; nothing where that
    /// is not known. It is known of large ones only.
    std::optional<std::uint64_t> age_of(const void* block) const noexcept {
        return times_.age(block);
    }

    /// The soft limit holds as a limit until no more than it is in use; refusals say why.
    void stop_at_soft(const std::string& why);

  protected:
    SharedBudget(const SharedBudgetOptions& options, Pool& source, SharedBudget* outer);
    ~SharedBudget() override = default;

  private:
    /// Called once each time that more than the soft limit comes into use: by any thread, without a
    /// lock of ours, but perhaps with those of a pool that draws on this one.
    virtual void soft_crossed() noexcept {}

    // The memory belongs to the source, so addresses find that one.
    bool contains(const std::byte*) const noexcept final { return false; }
    bool has_live_blocks() const noexcept final { return false; }
    void end_memory() noexcept final {}

    pools::FreeBlock undone(std::size_t after, std::size_t size) noexcept;
    std::byte* acquire_from_source(std::size_t bytes, bool zeroed) noexcept;
    /// The bytes of a block for this request, as far as that is known before.
    std::size_t block_bytes(std::size_t bytes) const noexcept;
    /// The bytes of a live block that was acquired here; 0 for an address that is not the source's.
    std::size_t bytes_of(const void* block) const noexcept;
    std::byte* settled(std::byte* block, std::size_t bytes, std::size_t charged) noexcept;
    std::byte* move_elsewhere(std::byte* block, std::size_t old, std::size_t bytes) noexcept;

    std::size_t charge_here(std::size_t bytes) noexcept;
    std::size_t charge(std::size_t bytes) noexcept;
    void discharge(std::size_t bytes, const SharedBudget* end = nullptr) noexcept;
    void open_again() noexcept;
    std::string refusal_text(std::size_t bytes) const;

    const PoolHandle<SharedBudget> outer_;
    const PoolHandle<Pool> bottom_;
    /// The bottom again, or its layer.
    ByteSource& source_;
    /// Not null where the source is a slab pool itself: its size classes are known here.
    SharedSlabPool* const slabs_;
    /// The same where there is no outer budget.
    SharedSlabPool* const alone_;
    BudgetAccount account_;
    BlockTimes times_;
    /// Guarded by the lock.
    std::string why_stopped_;
};

/// The pool that this pool's blocks come from: the pool itself where it is no budget.
inline Pool& bottom_of(Pool& pool) noexcept {
    const auto* const budget = dynamic_cast<SharedBudget*>(&pool);
    return budget == nullptr ? pool : budget->bottom();
}

/// Whether a block of one of these may be a block of the other, too. A block does not show which
/// of them it counts against, so one allocator must not serve both.
inline bool share_blocks(Pool& one, Pool& other) noexcept {
    return &one != &other && &bottom_of(one) == &bottom_of(other);
}

}  // namespace numpool::threads
