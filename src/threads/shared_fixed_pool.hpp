#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "pages/source_handle.hpp"
#include "pools/fixed_pool.hpp"
#include "threads/byte_source.hpp"
#include "threads/fork.hpp"
#include "threads/pool.hpp"
#include "threads/wait_queue.hpp"

namespace numpool::threads {

struct SharedFixedPoolOptions : pools::FixedPoolOptions {
    /// Zero every block when it is released; acquired blocks then always read as zero.
    bool wipe = false;
    std::string name;
};

/// A fixed pool behind a lock, with waiting. Nothing under the lock allocates on the common path,
/// calls back or sleeps.
///
/// As a source of bytes it serves requests that fit into a block, and never waits. Its users write
/// where a constructor wrote, so what they give back is constructed anew for the next `acquire`.
class SharedFixedPool : public Pool, public ByteSource, private ForkGuarded {
  public:
    using Block = pools::FixedPool::Block;

    /// The new pool's first handle. Throws as FixedPool's constructor does.
    static PoolHandle<SharedFixedPool> create(const SharedFixedPoolOptions& options,
                                              pages::SourceHandle source = pages::os_pages());

    /// A block, or an empty one where all are in use (or waited for). Throws Closed.
    Block try_acquire();

    /// Fills the span with blocks, or returns false and takes none. Throws Closed.
    bool try_acquire_many(std::span<Block> blocks);

    /// A block at once, or an empty one and the waiter stands in the queue. Throws Closed.
    Block acquire_or_wait(const std::shared_ptr<Waiter>& waiter);

    Waiter::State state_of(const Waiter& waiter) const noexcept;

    /// Ends a wait and hands over what it was granted, an empty block if nothing.
    Block collect(Waiter& waiter) noexcept;

    void release(std::byte* block, std::size_t bytes = 0) noexcept final;

    void release_unused(std::byte* block) noexcept final;

    std::byte* try_acquire(std::size_t bytes) noexcept final;
    std::byte* try_acquire_zeroed(std::size_t bytes) noexcept final;
    bool try_release(void* block, std::size_t bytes) noexcept final;
    std::byte* try_reallocate(void* block, std::size_t bytes) noexcept final;
    std::size_t usable_size(const void* block) const noexcept final;

    /// Counts a request that gave up, and says why there was no block. An Exhausted in words.
    std::string refuse(std::size_t wanted);

    void add_handle() noexcept final;
    void drop_handle() noexcept final;
    const std::string& name() const noexcept final { return name_; }
    std::string title() const final;
    bool owns(const std::byte* address) const noexcept final;
    PoolFigures figures() const final;
    std::size_t trim() final;
    void check() const final;
    void close() noexcept final;
    bool closed() const noexcept final;

    std::size_t block_size() const noexcept { return block_size_; }
    std::size_t align() const noexcept { return align_; }
    std::size_t max_blocks() const noexcept { return max_blocks_; }
    /// How many blocks there are now, live and free.
    std::size_t blocks() const noexcept;

  protected:
    SharedFixedPool(const SharedFixedPoolOptions& options, pages::SourceHandle source);
    ~SharedFixedPool() override;

    /// The last handle goes, and live blocks are all that keeps the pool: called without the lock.
    virtual void only_blocks_left() noexcept {}

  private:
    using Lock = std::unique_lock<std::mutex>;

    void lock_for_fork() noexcept final { mutex_.lock(); }
    void unlock_in_parent() noexcept final { mutex_.unlock(); }
    void unlock_in_child() noexcept final;

    Block take();
    bool fits(std::size_t bytes) const noexcept;
    Block take_for(std::size_t bytes) noexcept;
    void require_open() const;
    void hand_on(Lock& lock, Block block) noexcept;
    void put_back(std::byte* block, bool constructed) noexcept;
    std::size_t committed() const noexcept;
    void note_committed() noexcept { peak_committed_ = std::max(peak_committed_, committed()); }
    void end_pool() noexcept;
    void settle(Lock& lock) noexcept;

    const pages::SourceHandle source_;
    mutable std::mutex mutex_;
    /// Gone once the pool is closed and its last block came back.
    std::optional<pools::FixedPool> pool_;
    WaitQueue queue_;
    std::size_t live_ = 0;
    std::size_t handles_ = 0;
    bool closed_ = false;
    const bool wipe_;
    const bool constructs_;

    std::size_t peak_ = 0;
    /// When the pool last gave pages back.
    std::size_t peak_committed_ = 0;
    std::size_t requests_ = 0;
    std::size_t hits_ = 0;
    /// Of the pool that has ended.
    std::size_t growths_ = 0;
    std::size_t waits_ = 0;
    std::size_t failures_ = 0;

    const std::size_t block_size_;
    const std::size_t align_;
    const std::size_t stride_;
    const std::size_t max_blocks_;
    const std::string name_;
};

}  // namespace numpool::threads
