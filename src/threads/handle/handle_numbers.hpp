#pragma once

#include <vector>

#include "pools/handle/handle.hpp"
#include "threads/lifecycle/brief_mutex.hpp"
#include "threads/lifecycle/fork_guarded.hpp"

namespace numpool::threads {

/// Hands out the numbers that make handles unique: no two pools of a process ever give the same
/// handle, because a number that comes back continues where its last user stopped. Numbers begin at
/// a random version, so that a handle of another process, from a pickle, is very likely unknown.
class HandleNumbers final : private ForkGuarded {
  public:
    static HandleNumbers& instance();

    /// The first handle of an unused number. Throws Exhausted where all are used.
    pools::Handle take();

    /// Ends the use of a number. All of its handles were less than this one.
    void give_back(pools::Handle beyond) noexcept;

  private:
    HandleNumbers() { guard(Rank::inner); }

    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override { mutex_.unlock(); }

    BriefMutex mutex_;
    /// The first handles of the numbers that came back.
    std::vector<pools::Handle> returned_;
    /// How many numbers were ever taken.
    pools::Handle used_ = 0;
};

}  // namespace numpool::threads
