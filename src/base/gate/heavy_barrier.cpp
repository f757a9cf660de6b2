#include "base/gate/heavy_barrier.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace numpool {
namespace {

/// In nanoseconds.
constexpr long barrier_sleep = 2'000'000;

bool membarrier(int command) noexcept {
    return syscall(__NR_membarrier, command, 0, 0) == 0;
}

}  // namespace

void heavy_barrier() noexcept {
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return;
    // The process must register first, and again in the child of a fork.
    membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return;
    // A sandbox forbids the call. On all known processors a store becomes visible within a
    // thousandth of this time, and an early load is used within it. A signal must not end the sleep
    // early.
    timespec left{0, barrier_sleep};
    while (nanosleep(&left, &left) != 0) {
    }
}

}  // namespace numpool
