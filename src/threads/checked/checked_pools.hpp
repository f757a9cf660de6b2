#pragma once

#include <cstddef>
#include <deque>
#include <list>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "threads/lifecycle/fork_guarded.hpp"

namespace numpool::threads {

/// A line of the program that uses the pools, as a text that lives as long as the process. Null if
/// the line is not known.
using SourceLine = const char*;

class CheckedBlocks;

/// A block that is in use.
struct LiveBlock {
    std::byte* start = nullptr;
    std::size_t bytes = 0;
    double age_seconds = 0;
    SourceLine acquired = nullptr;
};

/// What all checked pools of the process share: the texts of source lines, and the reports.
class CheckedPools final : private ForkGuarded {
  public:
    /// It is never destroyed, because pools may be made and destroyed while the process exits.
    static CheckedPools& instance();

    /// Functions of the program around. They are called from any thread, and without a lock.
    struct Hooks {
        /// The line that the calling thread executes.
        SourceLine (*line)() noexcept = nullptr;
        /// There is a new report for `take_report`.
        void (*reported)() noexcept = nullptr;
        /// There may be a new warning for `take_leak_texts`.
        void (*leaked)() noexcept = nullptr;
    };
    void set_hooks(const Hooks& hooks) noexcept;
    SourceLine line() const noexcept;

    /// A copy of this text that is kept. Null if there is no memory for it.
    SourceLine keep(std::string_view line) noexcept;

    /// Keeps the report for `take_report`, or writes it to standard error if there is no hook.
    void report(std::string text) noexcept;
    /// Removes and returns the oldest report; empty if there is none.
    std::string take_report() noexcept;

    /// Called when a pool was closed or lost its last handle, and may still have live blocks.
    void note_leaks() const noexcept {
        if (hooks_.leaked != nullptr) hooks_.leaked();
    }
    /// The warnings about such pools with live blocks, one for each pool, and only once.
    std::vector<std::string> take_leak_texts();

    void add(CheckedBlocks& blocks);
    void remove(CheckedBlocks& blocks) noexcept;
    /// The damage that a check of all checked pools finds.
    std::vector<std::string> damage();

    /// The live blocks of each checked pool, with the pool's title.
    std::vector<std::pair<std::string, std::vector<LiveBlock>>> live();

  private:
    CheckedPools();

    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override { mutex_.unlock(); }

    /// Lock order: this lock is taken before the lock of a checked pool.
    std::mutex mutex_;
    Hooks hooks_;
    std::set<std::string, std::less<>> lines_;
    std::deque<std::string> reports_;
    std::list<CheckedBlocks*> pools_;
};

}  // namespace numpool::threads
