#pragma once

#include <list>

namespace numpool::threads {

/// Has a lock that no other thread may hold during a fork. While it lives, every fork of the
/// process calls these functions, and happens while all guarded locks are taken.
class ForkGuarded {
  public:
    /// The lock order, of threads and of a fork: that of the listings before any pool's; that of
    /// families before an arena's; that of links before a pool's with magazines; those of pools
    /// that draw on another, the newest first, before the other's; any pool's before an inner one.
    enum class Rank { listings, family, links, drawing, outer, inner };

    ForkGuarded();
    ForkGuarded(const ForkGuarded&) = delete;
    ForkGuarded& operator=(const ForkGuarded&) = delete;

    virtual void lock_for_fork() noexcept = 0;
    virtual void unlock_in_parent() noexcept = 0;
    /// The calling thread is the only one in the child.
    virtual void unlock_in_child() noexcept = 0;

  protected:
    ~ForkGuarded();

    /// A fork must find a complete object: `guard` follows its construction, or ends that of its
    /// most derived class, and `unguard` comes before its destruction, or begins it.
    void guard(Rank rank = Rank::outer) noexcept;
    void unguard() noexcept;

  private:
    /// Holds this one's entry, which is in the list of its rank while it is guarded.
    std::list<ForkGuarded*> outside_;
    std::list<ForkGuarded*>::iterator entry_;
    Rank rank_ = Rank::outer;
    bool guarded_ = false;
};

}  // namespace numpool::threads
