#pragma once

#include <vector>

#include "pools/handle/handle.hpp"
#include "threads/lifecycle/brief_mutex.hpp"
#include "threads/lifecycle/fork_guarded.hpp"

namespace numpool::threads {

/// Deals the numbers by which handles are told apart, so that no two pools of a process ever give
/// the same handle: a number that comes back goes on where its last user stopped. It begins at a
/// random place, so that a handle that came from another process, in a pickle, leads nowhere
/// here, as far as chance goes.
class HandleNumbers final : private ForkGuarded {
  public:
    static HandleNumbers& instance();

    /// The first handle of a number that nobody uses. Throws Exhausted where all are used.
    pools::Handle take();

    /// Ends the use of a number whose handles were all less than this one.
    void give_back(pools::Handle beyond) noexcept;

  private:
    HandleNumbers() { guard(Rank::inner); }

    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override { mutex_.unlock(); }

    BriefMutex mutex_;
    /// Of those that came back, the first handles to give.
    std::vector<pools::Handle> returned_;
    /// Numbers that were ever taken.
    pools::Handle used_ = 0;
};

}  // namespace numpool::threads
