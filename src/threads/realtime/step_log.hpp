#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "pages/system/page_faults.hpp"

namespace numpool::threads {

/// Times and page faults of the steps of a loop, which one thread marks.
class StepLog {
  public:
    /// Times below `largest` nanoseconds, to within a 32nd; longer ones count as that.
    static constexpr std::uint64_t largest = std::uint64_t{1} << 40;

    struct Bucket {
        /// The steps of this bucket took at least so long, and less than the next possible time.
        std::uint64_t nanoseconds;
        std::uint64_t steps;
    };

    /// The first `warm_up` steps are not counted.
    explicit StepLog(std::uint64_t warm_up) noexcept : warm_up_left_{warm_up} {}

    void begin() noexcept;
    /// Ends the step, and returns its faults; none in a step of the warm-up.
    pages::PageFaults end() noexcept;
    /// Ends the step as if it had not begun.
    void drop() noexcept { in_step_ = false; }

    bool in_step() const noexcept { return in_step_; }
    bool counts() const noexcept { return in_step_ && warm_up_left_ == 0; }
    /// The number of counted steps that have ended; of the step that runs, its number from 0 on.
    std::uint64_t steps() const noexcept { return steps_; }
    std::uint64_t faulty_steps() const noexcept { return faulty_steps_; }
    const pages::PageFaults& faults() const noexcept { return faults_; }
    std::uint64_t longest() const noexcept { return longest_; }
    /// The buckets that have steps, from the shortest time to the longest.
    std::vector<Bucket> times() const;

  private:
    static constexpr std::size_t parts = 32;
    static std::size_t bucket_of(std::uint64_t nanoseconds) noexcept;
    static std::uint64_t start_of(std::size_t bucket) noexcept;

    std::uint64_t warm_up_left_;
    bool in_step_ = false;
    std::uint64_t began_ = 0;
    pages::PageFaults faults_before_;
    std::uint64_t steps_ = 0;
    std::uint64_t faulty_steps_ = 0;
    std::uint64_t longest_ = 0;
    pages::PageFaults faults_;
    std::array<std::uint64_t, (40 - 4) * parts> buckets_{};
};

}  // namespace numpool::threads
