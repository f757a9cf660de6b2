#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pools/handle/handle_pool.hpp"
#include "pools/slab/slab_figures.hpp"
#include "threads/lifecycle/brief_mutex.hpp"
#include "threads/lifecycle/fork.hpp"
#include "threads/lifecycle/pool_listing.hpp"

namespace numpool::threads {

struct SharedHandlePoolOptions {
    /// Each block size with its number of blocks.
    std::vector<std::pair<std::size_t, std::size_t>> sizes;
    /// Called with each block whose use ends, just before it may have another: not null.
    void (*ending)(const void* block) = [](const void*) {};
    std::string name;
};

/// A handle pool behind a lock.
///
/// The users of its blocks hold handles, which are integers, so they keep nothing alive: with the
/// last Python object of the pool its live blocks go, too. As an owner of blocks it is told of the
/// ends of holds: a held block stays where it is, and so does the pool.
class SharedHandlePool final : public Pool, private ForkGuarded {
  public:
    using Block = pools::HandlePool::Block;
    using Handle = pools::Handle;

    /// The new pool's first handle. Throws as pools::HandlePool and HandleNumbers do.
    static PoolHandle<SharedHandlePool> create(const SharedHandlePoolOptions& options,
                                               pages::PageSource& source = pages::os_pages());

    /// A new handle. Throws BadArgument where no block is so large, Exhausted, Closed.
    Handle acquire(std::size_t bytes);

    /// The live block of a handle; an empty one where it has none.
    Block find(Handle handle) const noexcept;

    /// The block of a live handle, which stays until as many `release` follow. Throws Stale.
    Block hold(Handle handle);

    /// Ends a hold.
    void release(std::byte* block, std::size_t bytes = 0) noexcept override;

    /// Ends the use of a handle, unless its block is held: how often is the result, 0 where it was
    /// freed. Throws Stale.
    std::size_t free(Handle handle);

    std::vector<Handle> live_handles() const;
    std::size_t live_blocks() const noexcept;
    std::size_t retired_blocks() const noexcept;
    /// Each size with its number of blocks, from the smallest on.
    const std::vector<std::pair<std::size_t, std::size_t>>& sizes() const noexcept {
        return sizes_;
    }

    void add_handle() noexcept override;
    bool add_handle_if_owns(const std::byte* address) noexcept;
    void drop_handle() noexcept override;
    const std::string& name() const noexcept override { return name_; }
    std::string title() const override;
    bool owns(const std::byte* address) const noexcept override;
    PoolFigures figures() const override;
    /// The same of each size, from the smallest on.
    std::vector<pools::ClassFigures> size_figures() const;
    std::size_t trim() override;
    void check() const override;
    void close() noexcept override;
    bool closed() const noexcept override;

  private:
    using Lock = std::unique_lock<BriefMutex>;

    SharedHandlePool(const SharedHandlePoolOptions& options, pages::PageSource& source);
    ~SharedHandlePool() override;

    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override { mutex_.unlock(); }

    [[noreturn]] void throw_stale(Handle handle) const;
    [[noreturn]] void throw_exhausted(std::size_t bytes);
    void check_each_time() const;
    void end_pool() noexcept;
    void settle(Lock& lock) noexcept;

    mutable BriefMutex mutex_;
    /// Gone once the pool is closed and its last handle was freed.
    std::optional<pools::HandlePool> pool_;
    std::size_t holds_ = 0;
    std::size_t handles_ = 0;
    bool closed_ = false;
    /// The figures that outlast the pool: its peak and failures, and once it has ended, the others.
    PoolFigures history_;

    std::vector<std::pair<std::size_t, std::size_t>> sizes_;
    void (*const ending_)(const void* block);
    const std::string name_;
    const PoolListing listing_{*this};
};

}  // namespace numpool::threads
