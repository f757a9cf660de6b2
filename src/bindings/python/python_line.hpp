#pragma once

#include "threads/checked/checked_pools.hpp"

namespace numpool::bindings {

/// The line of Python code that the calling thread executes, as "file.py:3 in function": the
/// innermost one outside numpool and NumPy. Null if the thread does not hold the GIL (is not
/// attached, on a free-threaded build) or runs no Python code.
threads::SourceLine python_line() noexcept;

}  // namespace numpool::bindings
