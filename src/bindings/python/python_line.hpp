#pragma once

#include "threads/checked/checked_pools.hpp"

namespace numpool::bindings {

/// The line of Python code that the calling thread is at, as "file.py:3 in function": the innermost
/// that is neither numpool's nor NumPy's. Null where the thread does not hold the GIL (is not
/// attached, on a free-threaded build) or runs no Python code.
threads::SourceLine python_line() noexcept;

}  // namespace numpool::bindings
