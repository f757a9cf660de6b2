#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "observe/address_table.hpp"
#include "observe/stack_table.hpp"
#include "threads/lifecycle/brief_mutex.hpp"
#include "threads/lifecycle/fork_guarded.hpp"

namespace numpool::observe {

/// What tells a profile where the program is. They are called without a lock, from any thread, and
/// must not request memory that the profile observes.
struct Surroundings {
    /// Writes the calling thread's stack, the innermost frame first, and returns its length. 0
    /// where no frame is known.
    std::size_t (*stack)(std::span<Frame> frames) noexcept = nullptr;
    /// Keeps the code of a new stack alive from now on. Returns the number of the frame whose line
    /// a reader wants to see: not a library's. Nothing where there is no memory.
    std::optional<std::uint32_t> (*keep)(std::span<const Frame> frames) noexcept = nullptr;
    /// The frame of the calling thread that `keep` would choose.
    Frame (*place)() noexcept = nullptr;
};

/// A block that was chosen, while it lives.
struct Sample {
    std::size_t bytes = 0;
    std::uint64_t since = 0;  ///< nanoseconds
    StackTable::Number stack = StackTable::native;
    std::uint32_t run = 0;
};

/// The blocks that ended at one instruction of the function that had requested them.
struct Ending {
    int instruction = 0;
    double bytes = 0;
    double blocks = 0;
};

/// What is known of one stack. Every figure is an estimate: a sample counts with its weight.
struct Site {
    double live_bytes = 0;
    double live_blocks = 0;
    double peak_bytes = 0;  ///< live at the moment of the profile's peak
    double total_bytes = 0;
    double total_blocks = 0;
    double ended_blocks = 0;
    double seconds = 0;  ///< the sum of the lifetimes of blocks that ended
    std::uint64_t changed = 0;
    std::uint32_t shown_frame = 0;
    std::vector<Ending> endings{};
};

/// All figures at one moment.
struct ProfileFigures {
    std::size_t mean = 0;
    double seconds = 0;
    double live_bytes = 0;
    double peak_bytes = 0;
    double total_bytes = 0;
    double total_blocks = 0;
    std::uint64_t samples = 0;
    std::uint64_t lost = 0;  ///< samples for which there was no memory
};

struct LiveSample {
    const void* block = nullptr;
    std::size_t bytes = 0;
    double age_seconds = 0;
    StackTable::Number stack = StackTable::native;
};

struct ProfileSnapshot {
    ProfileFigures figures;
    /// By the number of their stack.
    std::vector<Site> sites;
    StackTable stacks;
    std::vector<LiveSample> live;
};

/// The figures since the last call of `Profile::mark`, as far as they are not sums.
struct ProfileMark {
    ProfileFigures figures;
    double recent_peak = 0;
};

/// The one sampling profile of the process: which stacks requested the memory that is live, that
/// was live at the peak, and in all. ProfiledFunctions feed it from any thread.
class Profile final : private threads::ForkGuarded {
  public:
    /// The innermost frames of a stack that are kept.
    static constexpr std::size_t most_frames = 96;

    /// It is never destroyed: blocks are released while the process exits.
    static Profile& instance();

    /// Begins anew, with no samples.
    void begin(std::size_t mean, std::uint64_t seed, const Surroundings& surroundings);
    /// From now on nothing is noted. The figures stay until the next `begin`.
    void end() noexcept;
    static bool runs() noexcept { return runs_.load(std::memory_order_relaxed); }

    /// A chosen block was acquired.
    void note(const void* block, std::size_t bytes) noexcept;
    /// A block is going to be released; nothing happens unless it is a sample.
    void forget(const void* block) noexcept {
        if (const auto sample = take(block)) [[unlikely]]
            note_end(*sample);
    }
    /// The two steps of `forget`. Between them the block may get another address or, by
    /// `put_back`, stay.
    std::optional<Sample> take(const void* block) noexcept;
    void note_end(const Sample& sample) noexcept;
    void put_back(const void* block, const Sample& sample) noexcept;

    ProfileFigures figures() const noexcept;
    ProfileSnapshot snapshot() const;
    ProfileMark mark() noexcept;

  private:
    static constexpr std::size_t most_endings = 32;

    Profile();

    double weight_of(std::size_t bytes) const noexcept;
    void add(const void* block, const Sample& sample);
    void change(Site& site, double bytes, double blocks) noexcept;
    void count_ending(Site& site, const Sample& sample, const Frame& here);
    ProfileFigures figures_locked() const noexcept;

    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override { mutex_.unlock(); }

    /// Static, so that who only asks does not make the profile.
    static constinit inline std::atomic<bool> runs_ = false;
    /// How many blocks are in `samples_`, so that most releases need no lock while there are none.
    std::atomic<std::size_t> live_samples_ = 0;

    mutable threads::BriefMutex mutex_;
    Surroundings surroundings_;
    std::uint32_t run_ = 0;
    std::uint64_t began_ = 0;
    std::uint64_t ended_ = 0;
    ProfileFigures figures_;
    double recent_peak_ = 0;
    /// Each change of a site has a number. A site that has not changed since the last peak has at
    /// its peak what it has now, so a new peak need not visit the sites.
    std::uint64_t changes_ = 0;
    std::uint64_t peak_change_ = 0;
    StackTable stacks_;
    std::vector<Site> sites_;
    AddressTable<Sample> samples_;
};

}  // namespace numpool::observe
