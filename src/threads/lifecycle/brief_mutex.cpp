#include "threads/lifecycle/brief_mutex.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

namespace numpool::threads {
namespace {

constexpr int tries = 64;
constexpr std::chrono::microseconds first_nap{20};
constexpr std::chrono::microseconds longest_nap{1000};

void relax() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

void BriefMutex::wait() noexcept {
    std::chrono::microseconds nap = first_nap;
    for (;;) {
        for (int i = 0; i < tries; ++i) {
            // A look first: an attempt would take the line away from whoever holds the mutex.
            if (!taken_.load(std::memory_order_relaxed) && try_lock()) return;
            relax();
        }
        std::this_thread::sleep_for(nap);
        nap = std::min(2 * nap, longest_nap);
    }
}

}  // namespace numpool::threads
