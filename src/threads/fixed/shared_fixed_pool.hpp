#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>

#include "pages/source/source_handle.hpp"
#include "pools/fixed/fixed_pool.hpp"
#include "threads/lifecycle/byte_source.hpp"
#include "threads/magazine/pool_threads.hpp"
#include "threads/waiting/waiting_pool.hpp"

namespace numpool::threads {

struct SharedFixedPoolOptions : pools::FixedPoolOptions {
    /// Zero every block when it is released; acquired blocks then always read as zero.
    bool wipe = false;
    /// Bytes that each block has besides `block_size`, for the pool's layer.
    std::size_t fences = 0;
    std::string name;
};

/// A fixed pool for any number of threads, with waiting.
///
/// A thread acquires blocks that it released before from its magazine, without a lock and without a
/// locked instruction. Magazines hold constructed blocks only. Behind the lock is the
/// single-threaded fixed pool: it refills magazines and takes flushed blocks back, a batch at a
/// time. When it has no unused block left, all gates are shut and all magazines are emptied into
/// it. So the pool grows, or is exhausted, only after that. While a caller waits the gates stay
/// shut, and a released block goes to the first waiter. Nothing under the lock calls back, or waits
/// except for a thread to leave its gate.
///
/// Behind their gates, threads read where chunks lie and the ledger's entries of their blocks.
/// These change only while all threads are outside, or by the thread itself.
///
/// As a source of bytes it serves requests that fit into a block, and never waits. Its users
/// overwrite what a constructor wrote, so a block is constructed anew for the next `acquire`.
class SharedFixedPool : public WaitingPool, public ByteSource, private MagazinePool {
    using Threads = PoolThreads<pools::RecordedBlock>;
    using Magazine = pools::MagazineOf<pools::RecordedBlock>;

  public:
    /// The new pool's first handle. Throws as FixedPool's constructor does.
    static PoolHandle<SharedFixedPool> create(const SharedFixedPoolOptions& options,
                                              pages::SourceHandle source = pages::os_pages());

    Block try_acquire() final {
        std::byte* const block = acquire_at_hand();
        if (block != nullptr) [[likely]]
            return {block, true, wipe_};
        return acquire_slow_or_throw();
    }

    /// The fast path of `try_acquire`. Null, and nothing has changed, where the calling thread has
    /// no block at hand. A caller that then tail-calls `try_acquire` needs no stack frame.
    std::byte* acquire_at_hand() const noexcept {
        const auto record_acquire = [](pools::RecordedBlock block) {
            return block.entry->record_acquire();
        };
        return own_at_hand().magazines()->pop_by(this, record_acquire).start;
    }

    /// Fills the span with blocks, or returns false and takes none. Throws Closed.
    bool try_acquire_many(std::span<Block> blocks);

    Block acquire_or_wait(const std::shared_ptr<Waiter>& waiter) final;

    /// Aborts, like `release_unused`, where no live block of this pool starts at the address: the
    /// block was released before, or is foreign. If two threads release one block at the same
    /// moment, both calls may return; the second `acquire` of that block then aborts.
    void release(std::byte* block, std::size_t = 0) noexcept final {
        // The slow path is a tail call that also finds errors, so this needs no stack frame.
        const auto record_release = [this, block](pools::RecordedBlock& released) {
            return pool_->record_release_in_newest(block, released);
        };
        if (!own_at_hand().magazines()->push_by(unwiped_key(this), record_release)) [[unlikely]]
            release_slow(block);
    }

    void release_unused(std::byte* block) noexcept final;

    std::byte* try_acquire(std::size_t bytes) noexcept final;
    std::byte* try_acquire_zeroed(std::size_t bytes) noexcept final;
    bool try_release(void* block, std::size_t bytes) noexcept final;
    std::byte* try_reallocate(void* block, std::size_t bytes) noexcept final;
    std::size_t usable_size(const void* block) const noexcept final;
    std::string refusal(std::size_t bytes) const final;
    bool leaves_to_others(std::size_t bytes) const noexcept final;

    /// Counts a request that gave up. Returns the text of its Exhausted.
    std::string refuse(std::size_t wanted);

    PoolFigures figures() const final;
    std::size_t trim() final;
    void reset_peak() noexcept final;
    void check() const final;

    std::size_t block_size() const noexcept { return block_size_; }
    std::size_t align() const noexcept { return align_; }
    std::size_t max_blocks() const noexcept { return max_blocks_; }
    /// The number of blocks now, live and free.
    std::size_t blocks() const noexcept;

  protected:
    SharedFixedPool(const SharedFixedPoolOptions& options, pages::SourceHandle source);
    ~SharedFixedPool() override = default;

    /// Called without the lock when only live blocks still hold the pool.
    virtual void only_blocks_left() noexcept {}

  private:
    /// A block from a thread's magazine. Empty where the magazine is another pool's, is empty, or
    /// has its gate shut.
    Block pop_from(Threads::Own& own) noexcept {
        const auto record_acquire = [this](pools::RecordedBlock popped) {
            this->record_acquire(popped);
            return true;
        };
        const pools::RecordedBlock block = own.magazines()->pop_by(this, record_acquire);
        return {block.start, static_cast<bool>(block), wipe_};
    }
    bool push_to(Threads::Own& own, std::byte* block) const noexcept {
        return own.magazines()->push_by(threads_.first_key(), [&](pools::RecordedBlock& unused) {
            unused = record_release(block);
            return true;
        });
    }
    static Threads::Own& own_at_hand() noexcept { return at_hand<pools::RecordedBlock>(); }

    /// The key of a release that does not wipe: the pool's address.
    static GateKey unwiped_key(const SharedFixedPool* pool) noexcept {
        return reinterpret_cast<std::uintptr_t>(pool);
    }
    /// The key of the magazines' gates. In a pool that wipes, `unwiped_key` must not open them.
    static GateKey first_key(const SharedFixedPool* pool, bool wipe) noexcept {
        return unwiped_key(pool) + (wipe ? 1 : 0);
    }
    void record_acquire(pools::RecordedBlock block) const noexcept {
        if (block.entry == nullptr || !block.entry->record_acquire()) [[unlikely]]
            stop_at(block.start);
    }
    pools::RecordedBlock record_release(std::byte* block) const noexcept {
        pools::Ledger::Entry* const entry = pool_->entry_of(block);
        if (entry == nullptr || !entry->record_release()) [[unlikely]]
            stop_at(block);
        return {block, entry};
    }
    [[noreturn]] void stop_at(const void* block) const noexcept;

    bool contains(const std::byte* address) const noexcept final;
    bool has_live_blocks() const noexcept final { return out_ != 0; }
    void end_memory() noexcept final;
    void end_thread_caches() noexcept final;
    void last_handle_goes() noexcept final;
    void pause_for_fork() noexcept final { threads_.pause_for_fork(); }
    void resume_after_fork() noexcept final { threads_.resume_after_fork(); }
    void forget_other_threads() noexcept final;
    bool thread_joins(ThreadRecord& record) noexcept final;
    void thread_ends(ThreadRecord& record) noexcept final;

    /// The slow path of an acquire: through the thread's own magazine, or the pool behind the lock.
    Block acquire_slow() noexcept;
    Block acquire_slow_or_throw();
    void release_slow(std::byte* block) noexcept;
    std::size_t refill(pools::RecordedBlock* blocks, std::size_t most) noexcept;
    /// Where magazines flush their blocks to.
    auto to_pool() noexcept {
        return [this](std::size_t, const pools::RecordedBlock* blocks, std::size_t count) {
            return_to_pool(blocks, count);
        };
    }
    void return_to_pool(const pools::RecordedBlock* blocks, std::size_t count) noexcept;
    void gather() noexcept;
    bool may_open_gates() const noexcept;
    void open_gates_if_plenty() noexcept;
    void open_gates_if_due() noexcept;
    /// Unused blocks in `pool_`.
    std::size_t stock() const noexcept { return pool_->blocks() - out_; }
    std::size_t live() const noexcept;
    void note_out(std::size_t blocks) noexcept;
    void wipe_link(std::byte* block) const noexcept;
    void check_all() const;
    /// In debug builds small pools check themselves after each operation under the lock.
    void check_each_time() const noexcept;

    /// An acquire behind the lock, which the caller holds.
    Block acquire_locked() noexcept;
    bool fits(std::size_t bytes) const noexcept;
    /// An acquire for so many bytes, as a ByteSource.
    Block acquire_for(std::size_t bytes) noexcept;
    void note_failure() noexcept;
    void hand_on(Lock& lock, Block block) noexcept;
    void put_back(std::byte* block, bool constructed) noexcept;
    std::size_t committed() const noexcept;
    void note_committed() noexcept { peak_committed_ = std::max(peak_committed_, committed()); }

    /// Where the chunks come from: the system, Pages, or another pool (PoolPages).
    const pages::SourceHandle source_;
    /// Empty once the pool is closed and its last block came back.
    std::optional<pools::FixedPool> pool_;
    const bool wipe_;
    const bool constructs_;
    /// Mutable, because `check` keeps all threads outside.
    mutable Threads threads_;

    /// Blocks that are not in `pool_`: live or at hand. None is at hand while the gates are shut.
    std::size_t out_ = 0;
    /// Operations since the gates were shut.
    std::size_t locked_operations_ = 0;

    /// The most that `out_` has been.
    std::size_t peak_ = 0;
    /// The most before the last time that the pool gave pages back.
    std::size_t peak_committed_ = 0;
    /// Of `pool_`, once that is empty.
    std::size_t growths_ = 0;

    const std::size_t block_size_;
    /// With the layer's bytes.
    const std::size_t room_;
    const std::size_t align_;
    const std::size_t stride_;
    const std::size_t max_blocks_;
};

}  // namespace numpool::threads
