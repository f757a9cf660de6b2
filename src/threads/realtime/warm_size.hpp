#pragma once

#include <cstddef>

#include "base/size.hpp"

namespace numpool::threads {

/// How many blocks of a size are to be kept warm.
struct WarmSize {
    std::size_t bytes = 0;
    std::size_t blocks = 0;
};

/// The distance of two blocks of this size: whole cache lines, and at least a byte more than the
/// size. So blocks of a power of two do not compete for one set of the processor's cache, and
/// NumPy 1 does not take two arrays for overlapping. `bytes` is at most `max_size`.
constexpr std::size_t warm_stride(std::size_t bytes) noexcept {
    return round_up(bytes + 1, 64);
}

/// A number for the calling thread that no other running thread has.
inline const void* this_thread() noexcept {
    static thread_local char here;
    return &here;
}

}  // namespace numpool::threads
