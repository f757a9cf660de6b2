#pragma once

#include <stdexcept>
#include <string>

namespace numpool {

/// A request that makes no sense, whatever the state of the pool.
struct BadArgument : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

/// A sound request that cannot be met now: a bound is reached, or the system refuses memory.
struct Exhausted : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A request to a pool that was closed.
struct Closed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A request that would end memory while somebody can still reach it.
struct InUse : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A handle that leads to no live block: it was freed, or never given.
struct Stale : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What a pool's `check()` throws when its own records contradict each other.
struct Corrupted : std::logic_error {
    using std::logic_error::logic_error;
};

}  // namespace numpool
