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

    /// Wakes the sleeper, or keeps it from falling asleep. The bell may be gone as soon as the
    /// sleeper has woken, so the two need another way (a pool's lock) to agree on its end.
    void ring() noexcept;

    /// Sleeps until the ring, the deadline (none: for ever) or the run of a signal handler. A
    /// condition variable hides signals, and Ctrl-C must interrupt a wait.
    Woken wait(std::optional<Clock::time_point> deadline) noexcept;

  private:
    std::atomic<std::uint32_t> rung_{0};
};

}  // namespace numpool::threads
