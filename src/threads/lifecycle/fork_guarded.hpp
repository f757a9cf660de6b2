#pragma once

#include <list>

namespace numpool::threads {

/// Something with a lock that must not be held by a thread that a fork leaves behind. While it
/// lives, every fork of the process calls these, with all guarded locks taken in between.
class ForkGuarded {
  public:
    /// In which order a fork takes the locks, which is the order in which threads do: that of the
    /// listings before any pool's, that of families before an arena's, that of links before that of
    /// a pool with magazines, those of pools that draw on another, the newest first, before the
    /// other's, and any pool's before an inner one.
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

    /// For the most derived class: its first act of construction ends with `guard`, its
    /// destruction begins with `unguard`, so that a fork finds it whole.
    void guard(Rank rank = Rank::outer);
    void unguard() noexcept;

  private:
    std::list<ForkGuarded*>::iterator place_;
    Rank rank_ = Rank::outer;
    bool guarded_ = false;
};

}  // namespace numpool::threads
