#pragma once

#include <time.h>

#include <cstdint>

namespace numpool {

/// Milliseconds since some start, exact to about four. The coarse clock costs a tenth of the exact
/// one, and decay times of a second do not need more.
inline std::uint64_t coarse_milliseconds() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000 +
           static_cast<std::uint64_t>(now.tv_nsec) / 1000000;
}

}  // namespace numpool
