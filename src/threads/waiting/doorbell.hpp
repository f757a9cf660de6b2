#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace numpool::threads {

/// One thread sleeps until another rings, once.
class Doorbell {
  public:
    using Clock = std::chrono::steady_clock;
    enum class Woken { by_ring, by_time, by_signal };

    /// Wakes the sleeper, or keeps it from falling asleep. The bell must live until `ring` has
    /// returned, which the sleeper cannot see: so both threads hold it, by a shared_ptr.
    void ring() noexcept;

    /// Sleeps until the ring, the deadline if there is one, or the run of a signal handler. A
    /// condition variable hides signals, and Ctrl-C must interrupt a wait.
    Woken wait(std::optional<Clock::time_point> deadline) noexcept;

  private:
    std::atomic<std::uint32_t> rung_{0};
};

}  // namespace numpool::threads
