#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "pages/source/source_handle.hpp"
#include "threads/lifecycle/block_layer.hpp"
#include "threads/lifecycle/brief_mutex.hpp"
#include "threads/lifecycle/fork_guarded.hpp"
#include "threads/lifecycle/pool.hpp"
#include "threads/lifecycle/pool_listing.hpp"

namespace numpool::threads {

/// The lifecycle of every shared pool: a lock, handles, closing, forks, and the end.
///
/// A pool is *reachable* from its first handle until it has neither a handle nor anything else that
/// holds it; then it is deleted. The private virtual functions are called on reachable pools only,
/// so never while a derived class is constructed or destroyed, and with the lock unless they say
/// otherwise.
class PoolLifecycle : public Pool, private ForkGuarded {
  public:
    void add_handle() noexcept final;
    void drop_handle() noexcept final;
    /// Adds a handle if the pool is still reachable. Returns whether it did.
    bool add_handle_if_reachable() noexcept;
    /// Adds a handle if the pool is still reachable and the address is in its memory.
    bool add_handle_if_owns(const std::byte* address) noexcept;

    BlockLayer* layer() const noexcept final { return layer_.get(); }
    /// Call it before anybody has a block of the pool.
    void set_layer(std::unique_ptr<BlockLayer> layer) noexcept { layer_ = std::move(layer); }

    const std::string& name() const noexcept final { return name_; }
    std::string title() const final;
    bool owns(const std::byte* address) const noexcept override;
    bool survives_fork() const noexcept final { return survives_fork_; }

    void close() noexcept override;
    bool closed() const noexcept final { return closed_.load(); }
    /// Throws Closed.
    void require_open() const {
        if (closed()) [[unlikely]]
            throw_closed();
    }

  protected:
    using Lock = std::unique_lock<BriefMutex>;

    /// `kind` is what errors call such a pool. `rank` is the rank of its lock in a fork.
    PoolLifecycle(const char* kind, std::string name, Rank rank = Rank::outer);
    ~PoolLifecycle() override;

    static Rank rank_on(const pages::SourceHandle& source) noexcept {
        return source.is_kept() ? Rank::drawing : Rank::outer;
    }

    /// For the constructor of a pool with this source.
    void follow_at_fork(const pages::PageSource& source) noexcept {
        survives_fork_ = source.survives_fork();
    }

    /// Call it with the lock when a block, or something else that held the pool, has gone. Gives
    /// the memory of a closed pool back once no block is live, and deletes a pool that nothing
    /// holds: then the lock is unlocked.
    void end_if_unused(Lock& lock) noexcept {
        if (handles_ == 0 || closed()) end_unused(lock);
    }

    mutable BriefMutex mutex_;
    /// Changed with the lock.
    std::atomic<bool> closed_ = false;

  private:
    /// Whether the address is in the pool's memory.
    virtual bool contains(const std::byte* address) const noexcept = 0;
    /// While this is true, a closed pool keeps its memory.
    virtual bool has_live_blocks() const noexcept = 0;
    /// Gives the memory of a closed pool without live blocks back. Called again, it does nothing.
    virtual void end_memory() noexcept = 0;
    /// Whether something other than a handle holds the pool.
    virtual bool is_held() const noexcept { return has_live_blocks(); }
    /// Called without the lock before the pool closes: takes the blocks of threads' magazines back.
    virtual void end_thread_caches() noexcept {}
    /// Called without the lock before the last handle goes.
    virtual void last_handle_goes() noexcept {}
    /// Around a fork: keeps threads out of what they may change without the lock.
    virtual void pause_for_fork() noexcept {}
    virtual void resume_after_fork() noexcept {}
    /// In the child, before `resume_after_fork`: ends what belongs to threads that do not exist
    /// there.
    virtual void forget_other_threads() noexcept {}

    void lock_for_fork() noexcept final;
    void unlock_in_parent() noexcept final;
    void unlock_in_child() noexcept final;
    void end_in_child() noexcept final;

    [[noreturn]] void throw_closed() const;
    void end_unused(Lock& lock) noexcept;
    void end() noexcept;

    std::size_t handles_ = 0;
    bool reachable_ = false;
    bool survives_fork_ = true;
    const Rank rank_;
    const char* const kind_;
    const std::string name_;
    /// The next pool that is to be deleted: see `end`.
    PoolLifecycle* next_to_end_ = nullptr;
    const PoolListing listing_{*this};
    std::unique_ptr<BlockLayer> layer_;
};

}  // namespace numpool::threads
