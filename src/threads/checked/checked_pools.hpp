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

/// A line of the program that uses the pools: text that lives as long as the process. Null where
/// none is known.
using SourceLine = const char*;

class CheckedBlocks;

/// A block that is out.
struct LiveBlock {
    std::byte* start = nullptr;
    std::size_t bytes = 0;
    double age_seconds = 0;
    SourceLine acquired = nullptr;
};

/// What all checked pools of the process share: the lines of the program that they have met, and
/// what they found.
class CheckedPools final : private ForkGuarded {
  public:
    /// It is never destroyed: pools come and go while the process exits.
    static CheckedPools& instance();

    /// What tells the line that the calling thread is at, and what is called, from any thread, when
    /// there is something to take by `take_report`. Neither may be called with a lock.
    struct Surroundings {
        SourceLine (*line)() noexcept = nullptr;
        void (*reported)() noexcept = nullptr;
        /// The same for `take_left`.
        void (*left)() noexcept = nullptr;
    };
    void set_surroundings(const Surroundings& surroundings) noexcept;
    SourceLine line() const noexcept;

    /// The same text, kept. Null where there is no memory for it.
    SourceLine keep(std::string_view line) noexcept;

    /// Writes the report to standard error where nothing takes it.
    void report(std::string text) noexcept;
    /// The oldest report that nobody took; empty where there is none.
    std::string take_report() noexcept;

    /// Called when a pool was closed, or dropped by all that held it but its blocks, and may have
    /// blocks out.
    void note_left() const noexcept {
        if (surroundings_.left != nullptr) surroundings_.left();
    }
    /// What to say of such pools that still have blocks out; of each it is said once.
    std::vector<std::string> take_left();

    void add(CheckedBlocks& blocks);
    void remove(CheckedBlocks& blocks) noexcept;
    /// What a check of every checked pool finds.
    std::vector<std::string> damage();

    /// What is out of every checked pool, by its title.
    std::vector<std::pair<std::string, std::vector<LiveBlock>>> live();

  private:
    CheckedPools();

    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override { mutex_.unlock(); }

    /// Comes before the lock of any checked pool.
    std::mutex mutex_;
    Surroundings surroundings_;
    std::set<std::string, std::less<>> lines_;
    std::deque<std::string> reports_;
    std::list<CheckedBlocks*> pools_;
};

}  // namespace numpool::threads
