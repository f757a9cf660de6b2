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

    /// Wakes the sleeper, or lets it not fall asleep. The bell may be gone as soon as the sleeper
    /// has woken, so the two agree on its end by other means (a pool's lock).
    void ring() noexcept;

    /// Sleeps until the ring, the deadline (none: for ever) or a signal handler's run. A condition
    /// variable would do but for the last: it hides signals, and Ctrl-C must interrupt a wait.
    Woken wait(std::optional<Clock::time_point> deadline) noexcept;

  private:
    std::atomic<std::uint32_t> rung_{0};
};

}  // namespace numpool::threads
