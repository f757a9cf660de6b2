#pragma once

#include <time.h>

#include <cstdint>

namespace numpool {

/// Milliseconds since some start, right to about four: the coarse clock costs a tenth of the exact
/// one, and pages that idle for a second may as well idle for four milliseconds more.
inline std::uint64_t coarse_milliseconds() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000 +
           static_cast<std::uint64_t>(now.tv_nsec) / 1000000;
}

/// The processor's time of this thread: what other programs take of the machine does not count.
inline std::int64_t thread_nanoseconds() noexcept {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<std::int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

}  // namespace numpool
