#pragma once

#include <vector>

#include "pools/handle/handle.hpp"
#include "threads/lifecycle/brief_mutex.hpp"
#include "threads/lifecycle/fork_guarded.hpp"

namespace numpool::threads {

/// Hands out the numbers that make handles unique. No two pools of a process ever have the same
/// handle, because a number that is used again continues after its last handle. Numbers begin at a
/// random version, so that a handle of another process, from a pickle, is very likely unknown.
class HandleNumbers final : private ForkGuarded {
  public:
    static HandleNumbers& instance();

    /// The first handle of an unused number. Throws Exhausted where all are used.
    pools::Handle acquire();

    /// Ends the use of a number. All of its handles so far are less than `beyond`.
    void release(pools::Handle beyond) noexcept;

  private:
    HandleNumbers() { guard(Rank::inner); }

    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override { mutex_.unlock(); }

    BriefMutex mutex_;
    /// The next handles of the numbers that were released.
    std::vector<pools::Handle> returned_;
    /// How many numbers were ever handed out.
    pools::Handle used_ = 0;
};

}  // namespace numpool::threads
