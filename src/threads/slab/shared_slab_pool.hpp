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
    /// A thread calls `decay`, so that an idle process gives memory back, too.
    bool background = false;
};

/// Blocks of any size, from 0 bytes to what the machine holds, for any number of threads.
///
/// A thread's small blocks come from magazines of its own, without a lock and without a locked
/// instruction. Behind the lock is the centre, with the slabs and the spans: it refills magazines
/// and takes flushed blocks back, a batch at a time. Any thread may release a block. A thread's
/// magazines are flushed when it ends, when it idled for a decay time, on `trim`, and before a
/// request is refused.
///
/// A block is found by its address, so a release needs no size. A given size makes it faster and
/// serves the figures. Blocks start at a multiple of 16 bytes, and of 64 from 64 bytes up.
class SharedSlabPool final : public PlacedInPage<0x880>,
                             public PoolLifecycle,
                             public ByteSource,
                             private MagazinePool,
                             private Decaying {
    using Threads = PoolThreads<pools::FreeBlock>;

  public:
    /// The new pool's first handle. Throws as SlabCentre's constructor does.
    static PoolHandle<SharedSlabPool> create(const SharedSlabPoolOptions& options = {},
                                             pages::SourceHandle source = pages::range_pages(),
                                             pages::PageSource& record_source = pages::os_pages());

    /// A block, or null, and nothing has changed, where the limit or the system refuses, or the
    /// pool is closed.
    std::byte* try_acquire(std::size_t bytes) noexcept override {
        if (bytes > SizeClasses::largest) [[unlikely]]
            return acquire_large_slow(bytes, false);
        if (const pools::FreeBlock block = acquire_at_hand(bytes)) [[likely]]
            return block.start();
        return acquire_slow(bytes, false);
    }
    /// Like `try_acquire`, but zeroed. Fresh blocks are not written.
    std::byte* try_acquire_zeroed(std::size_t bytes) noexcept override {
        if (bytes > SizeClasses::largest) [[unlikely]]
            return acquire_large_slow(bytes, true);
        if (const pools::FreeBlock block = acquire_at_hand(bytes)) [[likely]]
            return prepared(block, bytes, true);
        return acquire_slow(bytes, true);
    }

    /// The fast paths of `try_acquire` and `try_release`, for callers that need no stack frame
    /// there. Where the calling thread has no such block at hand, or no room for it, they return no
    /// block or false, and nothing has changed. The caller then tail-calls `acquire_slow` or
    /// `release_slow`.
    pools::FreeBlock acquire_at_hand(std::size_t bytes) const noexcept {
        if (bytes > SizeClasses::largest) [[unlikely]]
            return {nullptr, false};
        return pop_from(own_at_hand(), centre_.offsets().of(bytes), bytes);
    }
    /// The requested size finds the magazine. The address's tag is the key of its gate (see
    /// `first_key`): one comparison tells that the block is of the magazine's pool and class, and
    /// that the gate is open. A wrong size opens no gate. The processor goes on with the magazine
    /// while it still loads the tag.
    bool release_at_hand(void* address, std::size_t bytes) const noexcept {
        pages::Tag tag;
        if (bytes > SizeClasses::largest || !centre_.tags().find(address, tag)) [[unlikely]]
            return false;
        return push_to(own_at_hand(), centre_.offsets().of(bytes), static_cast<std::byte*>(address),
                       bytes, tag);
    }
    /// `try_acquire` and `try_release` without the fast path: for large blocks, which are never at
    /// hand, and where the fast path has failed.
    std::byte* acquire_slow(std::size_t bytes, bool zeroed) noexcept;
    bool release_slow(void* address, std::size_t bytes) noexcept;

    /// `try_acquire` or `try_acquire_zeroed` for a block that is never at hand, whatever its size:
    /// it has a span of its own. So its release always gets to `release_slow`.
    std::byte* acquire_span(std::size_t bytes, bool zeroed) noexcept {
        return acquire_large_slow(bytes, zeroed);
    }

    /// A block. Throws Exhausted, whose text has the pool, the request, the limit and what is in
    /// use; Closed.
    std::byte* acquire(std::size_t bytes);

    /// Takes a block back; null is ignored. False, and nothing has changed, where the address is
    /// not this pool's. An exception: if the thread has another slab pool's magazines at hand, that
    /// pool's block goes back to it, and this is true. `bytes` is the requested size, as far as the
    /// caller knows it. Afterwards the pool may be gone.
    bool try_release(void* address, std::size_t bytes = 0) noexcept override {
        if (release_at_hand(address, bytes)) [[likely]]
            return true;
        return release_slow(address, bytes);
    }

    /// A block of `bytes` with the contents of this one, as far as both reach; this one is
    /// released. A small block stays where its size class fits, or is at most twice too large. A
    /// span grows in place or by moving its pages, and a small block that grows to 16 KiB or more
    /// becomes a span. Null is acquired. New bytes are not zeroed. Returns null, and the old block
    /// is as it was, where that is refused, where the address is foreign, and where the pool is
    /// closed and the block cannot stay.
    std::byte* try_reallocate(void* block, std::size_t bytes) noexcept override;
    /// `try_reallocate` for a block of this pool; throws as `acquire` does.
    std::byte* reallocate(std::byte* block, std::size_t bytes) {
        return checked(try_reallocate(block, bytes), bytes);
    }

    /// The bytes that fit into the live block at this address; 0 where there is none.
    std::size_t usable_size(const void* block) const noexcept override;
    /// The same for a live block, without the lock; also 0 for an address that is not this pool's.
    std::size_t live_bytes_of(const void* block) const noexcept {
        const pools::SlabCentre::Place place = centre_.place_of(block);
        if (place.kind == pools::SlabCentre::Place::Kind::small) [[likely]]
            return classes().size(place.size_class);
        if (place.kind == pools::SlabCentre::Place::Kind::foreign) return 0;
        return centre_.large_bytes(static_cast<const std::byte*>(block));
    }
    /// The same for a small block; 0 for any other address.
    std::size_t small_bytes_of(const void* block) const noexcept {
        const pools::SlabCentre::Place place = centre_.place_of(block);
        if (place.kind != pools::SlabCentre::Place::Kind::small) [[unlikely]]
            return 0;
        return classes().size(place.size_class);
    }
    /// What `live_bytes_of` says of a new block for this request.
    std::size_t block_bytes(std::size_t bytes) const noexcept {
        if (bytes > SizeClasses::largest) return bytes;
        return classes().size(pools::class_at(centre_.offsets().of(bytes)));
    }
    std::string refusal(std::size_t bytes) const override;
    bool leaves_to_others(std::size_t) const noexcept override { return closed(); }

    /// Like `try_release`; aborts where the address is not this pool's.
    void release(std::byte* block, std::size_t bytes = 0) noexcept override;

    bool owns(const std::byte* address) const noexcept override {
        return centre_.place_of(address).kind != pools::SlabCentre::Place::Kind::foreign;
    }
    PoolFigures figures() const override;
    /// The figures of each size class, of the spans and of all.
    pools::SlabPoolFigures class_figures() const;
    std::size_t trim() override;
    void reset_peak() noexcept override;
    /// Gives back what was not needed for the decay time, idle threads' magazines included. Slow
    /// paths do that, too. An idle process has no slow paths, so a thread must call this.
    std::size_t decay() noexcept override;
    void check() const override;
    bool may_be_drawn_on() const noexcept override { return true; }

    /// From now on this much of the limit is for small blocks only: see SpanBank.
    void keep_for_small(std::size_t bytes) noexcept {
        const Lock lock{mutex_};
        centre_.keep_for_small(bytes);
    }

    const SizeClasses& classes() const noexcept { return centre_.classes(); }
    const pools::SlabCentre& centre() const noexcept { return centre_; }

  private:
    SharedSlabPool(const SharedSlabPoolOptions& options, pages::SourceHandle source,
                   pages::PageSource& record_source);
    ~SharedSlabPool() override;

    std::byte* prepared(pools::FreeBlock block, std::size_t bytes, bool zeroed) const noexcept {
        if (zeroed && !block.fresh() && !wipe_) std::memset(block.start(), 0, bytes);
        return block.start();
    }

    /// A block of the class at this offset. None where the magazines are another pool's, the
    /// magazine is empty, or its gate is shut.
    pools::FreeBlock pop_from(Threads::Own& own, pools::ClassOffset offset,
                              std::size_t bytes) const noexcept {
        return own.magazine_at(offset).pop_by(this, bytes);
    }
    bool push_to(Threads::Own& own, pools::ClassOffset offset, std::byte* block, std::size_t bytes,
                 GateKey key) const noexcept {
        return own.magazine_at(offset).push_by(key, {block, false}, bytes);
    }

    /// The key of a magazine's gate is its slabs' tag: the pool's number in the page map plus the
    /// class's offset. So a released block's tag is a key, and it opens the right magazine only. In
    /// a pool that wipes, a block must not enter before it is wiped: keys are greater by 1 there,
    /// and no tag is a key.
    static GateKey first_key(pages::Tag pool, bool wipe) noexcept {
        return wipe ? GateKey{pool} + 1 : GateKey{pool};
    }
    GateKey key_of(pools::ClassOffset offset) const noexcept {
        return pools::gate_key(threads_.first_key(), offset);
    }
    static Threads::Own& own_at_hand() noexcept { return at_hand<pools::FreeBlock>(); }

    std::byte* acquire_large_slow(std::size_t bytes, bool zeroed) noexcept;
    bool release_large_slow(std::byte* block) noexcept;
    std::byte* acquire_small_slow(std::size_t bytes, bool zeroed) noexcept;
    bool release_small_slow(std::byte* block, std::size_t size_class, std::size_t bytes) noexcept;
    /// The block; throws where it is null.
    std::byte* checked(std::byte* block, std::size_t bytes) const;

    std::byte* try_acquire_span(std::size_t bytes) noexcept;
    std::byte* reallocate_span(std::byte* block, std::size_t bytes) noexcept;
    std::byte* reallocate_wiped(std::byte* block, std::size_t bytes) noexcept;
    bool refill(pools::Magazine& magazine, std::size_t size_class) noexcept;
    /// Where magazines flush their blocks to.
    auto to_centre() noexcept {
        return [this](std::size_t size_class, const pools::FreeBlock* blocks, std::size_t count) {
            centre_.release_batch(size_class, blocks, count);
        };
    }
    void empty_all() noexcept;
    void decay_magazines_if_due() noexcept;

    bool thread_joins(ThreadRecord& record) noexcept override;
    void thread_ends(ThreadRecord& record) noexcept override;
    bool contains(const std::byte* address) const noexcept override { return owns(address); }
    /// An open pool keeps its memory, so it need not count live blocks. Once it is closed no block
    /// is at hand, and all blocks that are out of their slabs are live.
    bool has_live_blocks() const noexcept override { return !closed_ || centre_.blocks_out() != 0; }
    void end_memory() noexcept override { centre_.trim(); }
    void end_thread_caches() noexcept override;
    void last_handle_goes() noexcept override { close(); }
    void pause_for_fork() noexcept override { threads_.pause_for_fork(); }
    void resume_after_fork() noexcept override { threads_.resume_after_fork(); }
    void forget_other_threads() noexcept override { threads_.keep_only_own(to_centre()); }

    /// Its table of classes begins at 0x940 in the page: see PlacedInPage.
    alignas(64) pools::SlabCentre centre_;
    const bool wipe_;
    const bool background_;

    /// Mutable, because `check` keeps all threads outside.
    mutable Threads threads_;
    std::uint64_t magazines_decayed_ = 0;
};

}  // namespace numpool::threads
