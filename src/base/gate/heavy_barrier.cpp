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
    // Not registered yet: in this process, or since the fork that made it.
    membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return;
    // A sandbox forbids the call. No known processor keeps a store to itself for a thousandth of
    // this time, or works for so long with what it loaded early. A signal must not cut it short.
    timespec left{0, barrier_sleep};
    while (nanosleep(&left, &left) != 0) {
    }
}

}  // namespace numpool
