#pragma once

namespace numpool {

/// How a thread waits for about a microsecond of another thread's work: first it yields, then it
/// sleeps, longer each time up to a bound.
///
/// Yielding alone could wait for ever. Under SCHED_FIFO a thread yields only to threads of its own
/// priority, and a thread with a lower priority, which it may wait for, would never run.
class Backoff {
  public:
    static constexpr int usual_yields = 64;
    static constexpr long first_nap = 20'000;
    /// In nanoseconds. A waiter may notice the end of its wait this much too late.
    static constexpr long longest_nap = 200'000;

    explicit Backoff(int yields = usual_yields) noexcept : yields_left_{yields} {}

    void pause() noexcept;

  private:
    int yields_left_;
    long nap_ = first_nap;
};

}  // namespace numpool
