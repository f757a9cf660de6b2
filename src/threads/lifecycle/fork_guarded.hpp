#pragma once

#include <list>

namespace numpool::threads {

/// Has a lock that no other thread may hold during a fork. From `guard` to `unguard` every fork of
/// the process calls these functions, so it happens while all guarded locks are held.
class ForkGuarded {
  public:
    /// The lock order, for threads and for a fork:
    /// - `listings`: the mutex of all listings
    /// - `family`: the mutex of arenas' families
    /// - `links`: `links_mutex`
    /// - `drawing`: the locks of pools that draw on another pool, the newest first
    /// - `outer`: the locks of the other pools
    /// - `inner`: locks that are taken under a pool's lock
    enum class Rank { listings, family, links, drawing, outer, inner };

    ForkGuarded();
    ForkGuarded(const ForkGuarded&) = delete;
    ForkGuarded& operator=(const ForkGuarded&) = delete;

    virtual void lock_for_fork() noexcept = 0;
    virtual void unlock_in_parent() noexcept = 0;
    /// The calling thread is the only one in the child.
    virtual void unlock_in_child() noexcept = 0;
    /// In the child, when all locks are unlocked. It must destroy nothing that is guarded.
    virtual void end_in_child() noexcept {}

  protected:
    ~ForkGuarded();

    /// A fork must find a complete object. So `guard` is called after the construction or as its
    /// last step, and `unguard` before the destruction or as its first.
    void guard(Rank rank = Rank::outer) noexcept;
    void unguard() noexcept;

  private:
    /// Holds this one's entry while it is not guarded; then the list of its rank has it.
    std::list<ForkGuarded*> outside_;
    std::list<ForkGuarded*>::iterator entry_;
    Rank rank_ = Rank::outer;
    bool guarded_ = false;
};

}  // namespace numpool::threads
