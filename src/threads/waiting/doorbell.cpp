#include "threads/waiting/doorbell.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace numpool::threads {

void Doorbell::ring() noexcept {
    rung_.store(1, std::memory_order_release);
    syscall(SYS_futex, &rung_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

Doorbell::Woken Doorbell::wait(std::optional<Clock::time_point> deadline) noexcept {
    for (;;) {
        if (rung_.load(std::memory_order_acquire) != 0) return Woken::by_ring;
        timespec left{};
        if (deadline) {
            const auto span = *deadline - Clock::now();
            if (span <= span.zero()) return Woken::by_time;
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(span);
            left.tv_sec = seconds.count();
            left.tv_nsec = std::chrono::nanoseconds{span - seconds}.count();
        }
        const long result = syscall(SYS_futex, &rung_, FUTEX_WAIT_PRIVATE, 0,
                                    deadline ? &left : nullptr, nullptr, 0);
        if (result != 0 && errno == EINTR) return Woken::by_signal;
    }
}

}  // namespace numpool::threads
