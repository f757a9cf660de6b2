#pragma once

namespace numpool {

/// How a thread waits for something that takes about a microsecond: it yields, then sleeps, longer
/// each time up to a bound.
///
/// Yielding alone could last for ever: under SCHED_FIFO a thread yields only to threads of its own
/// priority, so one with a lower priority, which holds what this one waits for, would never run.
class Backoff {
  public:
    static constexpr int usual_yields = 64;
    static constexpr long first_nap = 20'000;
    /// In nanoseconds. A waiter notices the end of its wait at most so much later.
    static constexpr long longest_nap = 200'000;

    explicit Backoff(int yields = usual_yields) noexcept : yields_left_{yields} {}

    void pause() noexcept;

  private:
    int yields_left_;
    long nap_ = first_nap;
};

}  // namespace numpool
