#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pools/handle/handle_pool.hpp"
#include "pools/slab/slab_figures.hpp"
#include "threads/lifecycle/pool_lifecycle.hpp"

namespace numpool::threads {

struct SharedHandlePoolOptions {
    /// Each block size with its number of blocks.
    std::vector<std::pair<std::size_t, std::size_t>> sizes;
    /// Called with each block whose use ends, before the block is used again. Not null.
    void (*ending)(const void* block) = [](const void*) {};
    std::string name;
};

/// A handle pool behind a lock.
///
/// Handles are integers and keep nothing alive: live blocks go with the last PoolHandle. A hold
/// keeps its block and the pool; `release` ends a hold.
class SharedHandlePool final : public PoolLifecycle {
  public:
    using Block = pools::HandlePool::Block;
    using Handle = pools::Handle;

    /// The new pool's first handle. Throws as pools::HandlePool and HandleNumbers do.
    static PoolHandle<SharedHandlePool> create(const SharedHandlePoolOptions& options,
                                               pages::PageSource& source = pages::os_pages());

    /// A new handle. Throws BadArgument where no block is large enough, Exhausted, Closed.
    Handle acquire(std::size_t bytes);

    /// The live block of a handle; an empty one where there is none.
    Block find(Handle handle) const noexcept;

    /// The block of a live handle. It stays until each `hold` was ended by a `release`. Throws
    /// Stale.
    Block hold(Handle handle);

    /// Ends a hold.
    void release(std::byte* block, std::size_t bytes = 0) noexcept override;

    /// Frees a handle, unless its block is held. Returns the number of holds: 0 where it was freed.
    /// Throws Stale.
    std::size_t free(Handle handle);

    std::vector<Handle> live_handles() const;
    std::size_t live_blocks() const noexcept;
    std::size_t retired_blocks() const noexcept;
    /// Each size with its number of blocks, from the smallest on.
    const std::vector<std::pair<std::size_t, std::size_t>>& sizes() const noexcept {
        return sizes_;
    }

    PoolFigures figures() const override;
    /// The figures of each size, from the smallest on.
    std::vector<pools::ClassFigures> size_figures() const;
    std::size_t trim() override;
    void reset_peak() noexcept override;
    void check() const override;

  private:
    SharedHandlePool(const SharedHandlePoolOptions& options, pages::PageSource& source);
    ~SharedHandlePool() override;

    bool contains(const std::byte* address) const noexcept override;
    bool has_live_blocks() const noexcept override { return pool_ && pool_->live_blocks() != 0; }
    void end_memory() noexcept override;
    /// A live block alone does not hold the pool: handles are integers, so nothing refers to it.
    bool is_held() const noexcept override { return holds_ != 0; }

    [[noreturn]] void throw_stale(Handle handle) const;
    [[noreturn]] void throw_exhausted(std::size_t bytes);
    void check_each_time() const;

    /// Empty once the pool is closed and its last handle was freed.
    std::optional<pools::HandlePool> pool_;
    std::size_t holds_ = 0;
    /// The figures that outlive `pool_`: its peak and failures, and once it is empty, the others.
    PoolFigures history_;

    std::vector<std::pair<std::size_t, std::size_t>> sizes_;
    void (*const ending_)(const void* block);
};

}  // namespace numpool::threads
