#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace numpool {

/// An argument that no pool in any state can accept.
struct BadArgument : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

/// A valid request that fails now: a limit is reached, or the system refuses memory.
struct Exhausted : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A file or folder that the system refuses. `code` is its errno.
struct FileRefused : std::runtime_error {
    FileRefused(int errno_code, const std::string& text, std::string of)
        : std::runtime_error{text}, code{errno_code}, path{std::move(of)} {}

    int code;
    std::string path;
};

/// A request to a pool that was closed.
struct Closed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A call that would end memory that is still in use.
struct InUse : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A handle without a live block: the block was freed, or the pool never issued this handle.
struct Stale : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What a pool's `check()` throws when its own records contradict each other.
struct Corrupted : std::logic_error {
    using std::logic_error::logic_error;
};

/// What a checked pool throws where a user of its blocks has damaged memory.
struct Misused : std::logic_error {
    using std::logic_error::logic_error;
};

}  // namespace numpool
