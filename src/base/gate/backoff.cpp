#include "base/gate/backoff.hpp"

#include <sched.h>
#include <time.h>

#include <algorithm>

namespace numpool {

void Backoff::pause() noexcept {
    if (yields_left_ > 0) {
        --yields_left_;
        sched_yield();
        return;
    }
    const timespec nap{0, nap_};
    nanosleep(&nap, nullptr);
    nap_ = std::min(2 * nap_, longest_nap);
}

}  // namespace numpool
