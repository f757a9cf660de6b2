#pragma once

#include <atomic>

namespace numpool::threads {

/// A mutex for sections of a microsecond.
///
/// It costs one locked instruction, in `lock`, a third of std::mutex: `unlock` does not look for
/// waiters, so it need not be ordered before such a look. A waiter tries again for about as long as
/// a section takes, then sleeps (see Backoff). Sleeping and being woken would cost
/// tens of microseconds each time where one thread acquires what another one releases.
class BriefMutex {
  public:
    constexpr BriefMutex() noexcept = default;
    BriefMutex(const BriefMutex&) = delete;
    BriefMutex& operator=(const BriefMutex&) = delete;

    void lock() noexcept {
        if (!try_lock()) [[unlikely]]
            wait();
    }
    bool try_lock() noexcept {
        bool taken = false;
        return taken_.compare_exchange_strong(taken, true, std::memory_order_acquire,
                                              std::memory_order_relaxed);
    }
    void unlock() noexcept { taken_.store(false, std::memory_order_release); }

  private:
    void wait() noexcept;

    std::atomic<bool> taken_ = false;
};

}  // namespace numpool::threads
