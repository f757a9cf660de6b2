#include "threads/lifecycle/brief_mutex.hpp"

#include "base/gate/backoff.hpp"

namespace numpool::threads {
namespace {

void relax() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

void BriefMutex::wait() noexcept {
    constexpr int tries = 64;
    Backoff backoff{0};
    for (;;) {
        for (int i = 0; i < tries; ++i) {
            // Look first: an attempt would take the cache line away from the holder.
            if (!taken_.load(std::memory_order_relaxed) && try_lock()) return;
            relax();
        }
        backoff.pause();
    }
}

}  // namespace numpool::threads
