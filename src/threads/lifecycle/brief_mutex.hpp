#pragma once

#include <atomic>

namespace numpool::threads {

/// A mutex for sections of a microsecond. It costs one locked instruction, for taking it, a third
/// of what std::mutex does: whoever lets it go does not look for others, so it need not be ordered
/// before that look. Those who find it taken try again for about as long as a section takes, then
/// sleep for a little while, and a little longer each time. Being put to sleep and woken costs tens
/// of microseconds; where one thread acquires what another releases that would happen all the time.
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
