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
    std::string name;
};

/// A fixed pool for any number of threads, with waiting.
///
/// A thread acquires what it released before from a magazine of its own, without a lock and
/// without a locked instruction; magazines hold constructed blocks only. Under the lock lies the
/// fixed pool that they are filled from and flushed to, a batch at a time. Where that has no
/// unused block left, all gates are shut and all magazines emptied into it, before the pool grows,
/// and before it says that it is exhausted. They stay shut, and the pool is a locked one, while
/// anyone waits: a released block is handed to the first of them. Nothing under the lock calls
/// back or sleeps, but for a moment until a thread has left its gate.
///
/// What threads read behind their gates (where the chunks are, and the ledger's entries of blocks
/// they have) changes only while all are outside, or by themselves.
///
/// As a source of bytes it serves requests that fit into a block, and never waits. Its users write
/// where a constructor wrote, so what they give back is constructed anew for the next `acquire`.
class SharedFixedPool : public WaitingPool, public ByteSource, private MagazineOwner {
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
        return acquire_slowly_or_throw();
    }

    /// The common way of that, and nothing else: null, and nothing has changed, where the calling
    /// thread has none at hand. Who then calls the verb itself, last, needs no stack on the common
    /// way.
    std::byte* acquire_at_hand() const noexcept {
        const auto enter = [](pools::RecordedBlock block) { return block.mark->enter(); };
        return own_at_hand().magazines()->pop_by(this, enter).start;
    }

    /// Fills the span with blocks, or returns false and takes none. Throws Closed.
    bool try_acquire_many(std::span<Block> blocks);

    Block acquire_or_wait(const std::shared_ptr<Waiter>& waiter) final;

    /// Aborts, as `release_unused` does, where no live block of this pool starts at the address: it
    /// was released before, or is not the pool's. Only where two threads release one block at the
    /// very same moment may both pass: then whoever would be the second to get it aborts.
    void release(std::byte* block, std::size_t = 0) noexcept final {
        // What is odd about it is found out by the slow way, so that this one needs no stack.
        const auto strike = [this, block](pools::RecordedBlock& struck_out) {
            return pool_->strike_in_newest(block, struck_out);
        };
        if (!own_at_hand().magazines()->push_by(key_as_it_is(this), strike)) [[unlikely]]
            release_slowly(block);
    }

    void release_unused(std::byte* block) noexcept final;

    std::byte* try_acquire(std::size_t bytes) noexcept final;
    std::byte* try_acquire_zeroed(std::size_t bytes) noexcept final;
    bool try_release(void* block, std::size_t bytes) noexcept final;
    std::byte* try_reallocate(void* block, std::size_t bytes) noexcept final;
    std::size_t usable_size(const void* block) const noexcept final;
    bool leaves_to_others(std::size_t bytes) const noexcept final;

    /// Counts a request that gave up, and says why there was no block. An Exhausted in words.
    std::string refuse(std::size_t wanted);

    PoolFigures figures() const final;
    std::size_t trim() final;
    void check() const final;

    std::size_t block_size() const noexcept { return block_size_; }
    std::size_t align() const noexcept { return align_; }
    std::size_t max_blocks() const noexcept { return max_blocks_; }
    /// How many blocks there are now, live and free.
    std::size_t blocks() const noexcept;

  protected:
    SharedFixedPool(const SharedFixedPoolOptions& options, pages::SourceHandle source);
    ~SharedFixedPool() override = default;

    /// Called without the lock when only live blocks still hold the pool.
    virtual void only_blocks_left() noexcept {}

  private:
    /// From a thread's magazine; empty where it is not this pool's, or is empty, or others are at
    /// it.
    Block pop_from(Threads::Own& own) noexcept {
        const auto enter = [this](pools::RecordedBlock popped) {
            this->enter(popped);
            return true;
        };
        const pools::RecordedBlock block = own.magazines()->pop_by(this, enter);
        return {block.start, static_cast<bool>(block), wipe_};
    }
    bool push_to(Threads::Own& own, std::byte* block) const noexcept {
        return own.magazines()->push_by(threads_.first_key(), [&](pools::RecordedBlock& unused) {
            unused = struck_out(block);
            return true;
        });
    }
    static Threads::Own& own_at_hand() noexcept { return at_hand<pools::RecordedBlock>(); }
    /// With this a block is released as it is: the gates' key, or one that opens none where it is
    /// wiped first. Nobody keeps it, since whoever needs it has the pool's address.
    static GateKey key_as_it_is(const SharedFixedPool* pool) noexcept {
        return reinterpret_cast<std::uintptr_t>(pool);
    }
    static GateKey first_key(const SharedFixedPool* pool, bool wipe) noexcept {
        return key_as_it_is(pool) + (wipe ? 1 : 0);
    }
    void enter(pools::RecordedBlock block) const noexcept {
        if (block.mark == nullptr || !block.mark->enter()) [[unlikely]]
            stop_at(block.start);
    }
    pools::RecordedBlock struck_out(std::byte* block) const noexcept {
        pools::Ledger::Mark* const mark = pool_->mark_of(block);
        if (mark == nullptr || !mark->strike()) [[unlikely]]
            stop_at(block);
        return {block, mark};
    }
    [[noreturn]] void stop_at(const void* block) const noexcept;

    bool contains(const std::byte* address) const noexcept final;
    bool has_live_blocks() const noexcept final { return out_ != 0; }
    void end_memory() noexcept final;
    void retire() noexcept final;
    void last_handle_goes() noexcept final;
    void pause_for_fork() noexcept final { threads_.pause_for_fork(); }
    void resume_after_fork() noexcept final { threads_.resume_after_fork(); }
    void forget_other_threads() noexcept final;
    bool thread_joins(ThreadRecord& record) noexcept final;
    void thread_ends(ThreadRecord& record) noexcept final;

    Block acquire_slowly() noexcept;
    Block acquire_slowly_or_throw();
    void release_slowly(std::byte* block) noexcept;
    std::size_t refill(pools::RecordedBlock* blocks, std::size_t most) noexcept;
    auto give() noexcept {
        return [this](std::size_t, const pools::RecordedBlock* blocks, std::size_t count) {
            take_home(blocks, count);
        };
    }
    void take_home(const pools::RecordedBlock* blocks, std::size_t count) noexcept;
    void gather() noexcept;
    bool may_open() const noexcept;
    void open_again() noexcept;
    void open_now_and_then() noexcept;
    /// Unused blocks behind the lock.
    std::size_t stock() const noexcept { return pool_->blocks() - out_; }
    std::size_t live() const noexcept;
    void note_out(std::size_t blocks) noexcept;
    void wipe_link(std::byte* block) const noexcept;
    void check_all() const;
    /// In debug builds what goes through the lock is followed by a check, in pools small enough.
    void check_each_time() const noexcept;

    Block take() noexcept;
    bool fits(std::size_t bytes) const noexcept;
    Block take_for(std::size_t bytes) noexcept;
    void note_failure() noexcept;
    void hand_on(Lock& lock, Block block) noexcept;
    void put_back(std::byte* block, bool constructed) noexcept;
    std::size_t committed() const noexcept;
    void note_committed() noexcept { peak_committed_ = std::max(peak_committed_, committed()); }

    const pages::SourceHandle source_;
    /// Gone once the pool is closed and its last block came back.
    std::optional<pools::FixedPool> pool_;
    const bool wipe_;
    const bool constructs_;
    /// A walk through all magazines keeps their threads outside meanwhile.
    mutable Threads threads_;

    /// Blocks that are not in `pool_`: live, or at hand. None are at hand while the gates are shut.
    std::size_t out_ = 0;
    /// Operations since the gates were shut.
    std::size_t locked_operations_ = 0;

    /// Of `out_`.
    std::size_t peak_ = 0;
    /// When the pool last gave pages back.
    std::size_t peak_committed_ = 0;
    /// Of the pool that has ended.
    std::size_t growths_ = 0;

    const std::size_t block_size_;
    const std::size_t align_;
    const std::size_t stride_;
    const std::size_t max_blocks_;
};

}  // namespace numpool::threads
