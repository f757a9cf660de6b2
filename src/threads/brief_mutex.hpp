#pragma once

#include <mutex>

namespace numpool::threads {

/// A mutex for sections of a microsecond: who finds it locked tries again for about as long before
/// it goes to sleep. Being put to sleep and woken costs tens of microseconds, and where one thread
/// acquires what another releases it would happen all the time.
class BriefMutex {
  public:
    void lock() noexcept {
        for (int i = 0; i < tries; ++i) {
            if (mutex_.try_lock()) return;
            relax();
        }
        mutex_.lock();
    }
    bool try_lock() noexcept { return mutex_.try_lock(); }
    void unlock() noexcept { mutex_.unlock(); }

  private:
    static constexpr int tries = 64;

    static void relax() noexcept {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
    }

    std::mutex mutex_;
};

}  // namespace numpool::threads
