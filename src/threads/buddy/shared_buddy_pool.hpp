#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pools/buddy/buddy_pool.hpp"
#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/pool_lifecycle.hpp"

namespace numpool::threads {

struct SharedBuddyPoolOptions {
    std::size_t capacity = 0;
    std::size_t min_block = 4096;
    std::string name;
};

/// The blocks of one order in a buddy pool.
struct OrderFigures {
    std::size_t block_size = 0;
    std::size_t free = 0;
    std::size_t live = 0;
    std::size_t requested = 0;  ///< bytes of the live ones, as requested
    std::size_t requests = 0;
    std::size_t asked = 0;  ///< their bytes
};

/// A buddy pool behind a lock. Callers cannot wait: it is unknown which release would make a free
/// block large enough.
class SharedBuddyPool final : public PoolLifecycle, public ByteSource {
  public:
    /// The new pool's first handle. Throws as BuddyPool's constructor does.
    static PoolHandle<SharedBuddyPool> create(const SharedBuddyPoolOptions& options,
                                              pages::SourceHandle source = pages::os_pages());

    /// A block. Throws Exhausted, whose text has the request and the free bytes; Closed.
    std::byte* acquire(std::size_t bytes);
    std::byte* try_acquire(std::size_t bytes) noexcept override;
    std::byte* try_acquire_zeroed(std::size_t bytes) noexcept override;
    bool try_release(void* block, std::size_t bytes) noexcept override;
    /// In place where the block's buddies are free, otherwise by a copy.
    std::byte* try_reallocate(void* block, std::size_t bytes) noexcept override;
    std::size_t usable_size(const void* block) const noexcept override;
    std::string refusal(std::size_t bytes) const override;
    bool leaves_to_others(std::size_t) const noexcept override { return true; }
    /// `try_reallocate` for a block of this pool; throws as `acquire` does.
    std::byte* reallocate(std::byte* block, std::size_t bytes);
    void release(std::byte* block, std::size_t bytes = 0) noexcept override;

    PoolFigures figures() const override;
    /// From the smallest blocks to the largest.
    std::vector<OrderFigures> order_figures() const;
    /// The part of the free bytes that is not in the largest free block; 0 where all are in one
    /// block.
    double fragmentation() const noexcept;
    std::size_t trim() override;
    void reset_peak() noexcept override;
    void check() const override;
    bool may_be_drawn_on() const noexcept override { return true; }

    std::size_t capacity() const noexcept { return capacity_; }
    std::size_t min_block() const noexcept { return min_block_; }

  private:
    using Block = pools::BuddyPool::Block;

    SharedBuddyPool(const SharedBuddyPoolOptions& options, pages::SourceHandle source);
    ~SharedBuddyPool() override = default;

    bool contains(const std::byte* address) const noexcept override;
    bool has_live_blocks() const noexcept override { return pool_ && pool_->blocks() != 0; }
    void end_memory() noexcept override;

    Block acquire_block(std::size_t bytes) noexcept;
    void note_peaks() noexcept;
    std::string refusal_text(std::size_t bytes) const;
    std::byte* checked(std::byte* block, std::size_t bytes) const;

    /// Where the region comes from: the system, Pages, or another pool (PoolPages).
    const pages::SourceHandle source_;
    /// Empty once the pool is closed and its last block came back.
    std::optional<pools::BuddyPool> pool_;
    /// The figures that outlive `pool_`: its limit, peaks and counts.
    PoolFigures history_;

    const std::size_t capacity_;
    const std::size_t min_block_;
};

}  // namespace numpool::threads
