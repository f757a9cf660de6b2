#pragma once

#include <atomic>
#include <cstddef>
#include <string>

#include "threads/lifecycle/block_owner.hpp"
#include "threads/lifecycle/pool_figures.hpp"
#include "threads/lifecycle/pool_handle.hpp"

namespace numpool::threads {

class BlockLayer;

/// A pool that any thread may use.
///
/// It lives while there is a handle (a Python object) or a live block. The last of both to go
/// destroys it, so arrays may outlive the pool they came from.
class Pool : public BlockOwner {
  public:
    virtual void add_handle() noexcept = 0;
    virtual void drop_handle() noexcept = 0;

    virtual const std::string& name() const noexcept = 0;

    /// What errors call it: its kind, and its name if it has one.
    virtual std::string title() const = 0;
    /// The text of every error that says it is closed.
    std::string closed_text() const { return title() + " is closed and takes no more requests"; }

    Pool* pool_of_blocks() noexcept final { return this; }

    /// What stands between the pool and its users; null where nothing does.
    virtual BlockLayer* layer() const noexcept { return nullptr; }

    virtual bool owns(const std::byte* address) const noexcept = 0;
    virtual PoolFigures figures() const = 0;

    /// Gives back what no live block needs, and returns its bytes.
    virtual std::size_t trim() = 0;

    /// From here on `peak` and `peak_committed` are the most since now.
    virtual void reset_peak() noexcept = 0;

    /// Throws Corrupted where the pool's records contradict each other.
    virtual void check() const = 0;

    /// Takes no more requests: they throw Closed, as do those that wait. Live blocks stay valid;
    /// the memory goes back with the last of them.
    virtual void close() noexcept = 0;
    virtual bool closed() const noexcept = 0;

    /// Whether it goes on in a forked child. Otherwise it is closed there, because its memory is
    /// still its parent's.
    virtual bool survives_fork() const noexcept { return true; }

    /// Whether other pools may draw on it while they hold their own lock. Acquiring and releasing
    /// more than `SizeClasses::largest` bytes must then take no locks but the pool's own, those of
    /// its sources, and inner ones.
    virtual bool may_be_drawn_on() const noexcept { return false; }
    /// How many pools draw on this one now: see PoolPages.
    std::size_t drawing_pools() const noexcept { return drawing_.load(std::memory_order_relaxed); }
    void begin_drawing() noexcept { drawing_.fetch_add(1, std::memory_order_relaxed); }
    void end_drawing() noexcept { drawing_.fetch_sub(1, std::memory_order_relaxed); }

  private:
    std::atomic<std::size_t> drawing_ = 0;
};

/// Whether the address is in the memory of the pool or of its layer.
bool is_in_pool_or_layer(const Pool& pool, const std::byte* address) noexcept;

}  // namespace numpool::threads
