#pragma once

#include <cstring>

#include "pools/slab/slab_centre.hpp"
#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/caretaker.hpp"
#include "threads/lifecycle/placed_in_page.hpp"
#include "threads/lifecycle/pool_lifecycle.hpp"
#include "threads/magazine/pool_threads.hpp"

namespace numpool::threads {

struct SharedSlabPoolOptions : pools::SlabPoolOptions {
    /// Zero every block when it comes back; acquired blocks then always read as zero.
    bool wipe = false;
    /// Give back what is not needed for the decay time even while the whole process idles.
    bool background = false;
};

/// Blocks of any size, from 0 bytes to what the machine holds, for any number of threads.
///
/// A thread's small blocks come from magazines of its own, without a lock and without a locked
/// instruction. Under the lock lies the centre, which fills and empties them a batch at a time: the
/// slabs and the spans. Any thread may release a block. What a thread has at hand goes back when it
/// ends, when somebody trims, when it idled for a decay time, and before a request is refused.
///
/// A block is found by its address, so a release needs no size: a size that it gives makes it
/// faster and serves the figures. Blocks start at a multiple of 16 bytes, from 64 bytes up of 64.
class SharedSlabPool final : public PlacedInPage<0x880>,
                             public PoolLifecycle,
                             public ByteSource,
                             private MagazineOwner,
                             private Decaying {
    using Threads = PoolThreads<pools::FreeBlock>;

  public:
    /// The new pool's first handle. Throws as SlabCentre's constructor does.
    static PoolHandle<SharedSlabPool> create(const SharedSlabPoolOptions& options = {},
                                             pages::PageSource& source = pages::range_pages(),
                                             pages::PageSource& record_source = pages::os_pages());

    /// A block, or null, and nothing has changed, where the limit or the system refuses, or the
    /// pool is closed.
    std::byte* try_acquire(std::size_t bytes) noexcept override {
        if (bytes > SizeClasses::largest) [[unlikely]]
            return acquire_large(bytes, false);
        if (const pools::FreeBlock block = acquire_at_hand(bytes)) [[likely]]
            return block.start();
        return acquire_after_miss(bytes, false);
    }
    /// Like `try_acquire`, but zeroed. Blocks that nobody touched yet are not written.
    std::byte* try_acquire_zeroed(std::size_t bytes) noexcept override {
        if (bytes > SizeClasses::largest) [[unlikely]]
            return acquire_large(bytes, true);
        if (const pools::FreeBlock block = acquire_at_hand(bytes)) [[likely]]
            return prepared(block, bytes, true);
        return acquire_after_miss(bytes, true);
    }

    /// The fast paths of `try_acquire` and `try_release`, for callers that keep them free of a
    /// stack frame: no block or false, and nothing has changed, where the calling thread has no
    /// such block, or no room for it, at hand. The slow path is then `…_after_miss`, a tail call.
    pools::FreeBlock acquire_at_hand(std::size_t bytes) const noexcept {
        if (bytes > SizeClasses::largest) [[unlikely]]
            return {nullptr, false};
        return pop_from(own_at_hand(), centre_.offsets().of(bytes), bytes);
    }
    /// The magazine is found by the size that was asked for, and its gate opens for the tag that
    /// the page map has for the address: one comparison tells that the block is of the magazine's
    /// pool and class, and that the gate is open. A wrong size opens nothing, nor does any size
    /// where blocks are wiped first: no tag is a key there. The processor goes on with the magazine
    /// while it still loads the tag.
    bool release_at_hand(void* address, std::size_t bytes) const noexcept {
        pages::Tag tag;
        if (bytes > SizeClasses::largest || !centre_.tags().find(address, tag)) [[unlikely]]
            return false;
        return push_to(own_at_hand(), centre_.offsets().of(bytes), static_cast<std::byte*>(address),
                       bytes, tag);
    }
    /// `try_acquire`, or `try_acquire_zeroed`, of which `acquire_at_hand` gave nothing.
    std::byte* acquire_after_miss(std::size_t bytes, bool zeroed) noexcept;
    /// `try_release`, of which `release_at_hand` did nothing.
    bool release_after_miss(void* address, std::size_t bytes) noexcept;

    /// A block. Throws Exhausted, which says what was asked of which pool, its limit and its use;
    /// Closed.
    std::byte* acquire(std::size_t bytes);

    /// Takes a block back; null is none. False, and nothing has changed, where the address is not
    /// this pool's; but a block of a pool like this one whose magazines the thread has at hand goes
    /// home to that one. `bytes` is what was asked for, as far as the caller knows. Afterwards the
    /// pool may be gone.
    bool try_release(void* address, std::size_t bytes = 0) noexcept override {
        if (release_at_hand(address, bytes)) [[likely]]
            return true;
        return release_after_miss(address, bytes);
    }

    /// A block of `bytes` with the contents of this one, as far as both reach; this one is gone.
    /// In place where the size class stays, or is at most twice too large; spans grow in place or
    /// by moving their pages, and a small block that grows to 16 KiB or more becomes one. A null
    /// block is acquired. What is new is not zeroed. Null, and the old block is as it was, where
    /// that is refused, where the address is foreign, and once the pool is closed unless the block
    /// can stay where it is.
    std::byte* try_reallocate(void* block, std::size_t bytes) noexcept override;
    /// The same for a block of this pool; throws as `acquire` does.
    std::byte* reallocate(std::byte* block, std::size_t bytes) {
        return checked(try_reallocate(block, bytes), bytes);
    }

    /// What fits into the live block at this address without moving it; 0 where none is.
    std::size_t usable_size(const void* block) const noexcept override;
    std::string refusal(std::size_t bytes) const override;
    bool leaves_to_others(std::size_t) const noexcept override { return closed(); }

    /// A block's end as for `try_release`; aborts where the address is not this pool's.
    void release(std::byte* block, std::size_t bytes = 0) noexcept override;

    bool owns(const std::byte* address) const noexcept override {
        return centre_.place_of(address).kind != pools::SlabCentre::Place::Kind::foreign;
    }
    PoolFigures figures() const override;
    /// The same by class, and the spans.
    pools::SlabPoolFigures class_figures() const;
    std::size_t trim() override;
    void reset_peak() noexcept override;
    /// Gives back what was not needed for the decay time, idle threads' magazines included. Slow
    /// paths do it by themselves; a process that idles altogether needs a thread for it.
    std::size_t decay() noexcept override;
    void check() const override;
    bool may_be_drawn_on() const noexcept override { return true; }

    const SizeClasses& classes() const noexcept { return centre_.classes(); }
    const pools::SlabCentre& centre() const noexcept { return centre_; }

  private:
    SharedSlabPool(const SharedSlabPoolOptions& options, pages::PageSource& source,
                   pages::PageSource& record_source);
    ~SharedSlabPool() override;

    std::byte* prepared(pools::FreeBlock block, std::size_t bytes, bool zeroed) const noexcept {
        if (zeroed && !block.fresh() && !wipe_) std::memset(block.start(), 0, bytes);
        return block.start();
    }

    /// Nothing where these are not this pool's, or are empty, or others are at them. This and the
    /// following know a size class by its offset.
    pools::FreeBlock pop_from(Threads::Own& own, pools::ClassOffset offset,
                              std::size_t bytes) const noexcept {
        return own.magazine_at(offset).pop_by(this, bytes);
    }
    bool push_to(Threads::Own& own, pools::ClassOffset offset, std::byte* block, std::size_t bytes,
                 GateKey key) const noexcept {
        return own.magazine_at(offset).push_by(key, {block, false}, bytes);
    }
    GateKey key_of(pools::ClassOffset offset) const noexcept {
        return pools::gate_key(threads_.first_key(), offset);
    }
    static Threads::Own& own_at_hand() noexcept { return at_hand<pools::FreeBlock>(); }

    std::byte* acquire_large(std::size_t bytes, bool zeroed) noexcept;
    bool release_large(std::byte* block) noexcept;
    std::byte* acquire_small(std::size_t bytes, bool zeroed) noexcept;
    bool release_small(std::byte* block, std::size_t size_class, std::size_t bytes) noexcept;
    std::byte* checked(std::byte* block, std::size_t bytes) const;

    std::byte* try_acquire_span(std::size_t bytes) noexcept;
    std::byte* reallocate_large(std::byte* block, std::size_t bytes) noexcept;
    std::byte* reallocate_wiped(std::byte* block, std::size_t bytes) noexcept;
    bool refill(pools::Magazine& magazine, std::size_t size_class) noexcept;
    /// What brings a thread's blocks of a class home.
    auto give() noexcept {
        return [this](std::size_t size_class, const pools::FreeBlock* blocks, std::size_t count) {
            centre_.release_batch(size_class, blocks, count);
        };
    }
    void empty_all() noexcept;
    void decay_now_and_then() noexcept;

    bool thread_joins(ThreadRecord& record) noexcept override;
    void thread_ends(ThreadRecord& record) noexcept override;
    bool contains(const std::byte* address) const noexcept override { return owns(address); }
    /// Blocks out of their slabs include those at hand until the pool closes: nothing is counted
    /// for this while it is open.
    bool has_live_blocks() const noexcept override { return !closed_ || centre_.blocks_out() != 0; }
    void end_memory() noexcept override { centre_.trim(); }
    void retire() noexcept override;
    void last_handle_goes() noexcept override { close(); }
    void pause_for_fork() noexcept override { threads_.pause_for_fork(); }
    void resume_after_fork() noexcept override { threads_.resume_after_fork(); }
    void forget_other_threads() noexcept override { threads_.keep_only_own(give()); }

    /// Its table of classes begins at 0x940 in the page: see PlacedInPage.
    alignas(64) pools::SlabCentre centre_;
    const bool wipe_;
    const bool background_;

    /// A walk through all magazines keeps their threads outside meanwhile.
    mutable Threads threads_;
    std::uint64_t looked_for_idle_ = 0;
};

}  // namespace numpool::threads
