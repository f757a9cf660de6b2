#pragma once

#include <string_view>

#include "threads/checked/checked_pools.hpp"

namespace numpool::bindings {

/// Whether this thread may use Python's objects.
bool is_attached() noexcept;

/// Whether the file is numpool's or NumPy's, whose lines do not show which code asked for memory.
bool is_of_a_library(std::string_view file) noexcept;

/// The line of Python code that the calling thread executes, as "file.py:3 in function": the
/// innermost one outside numpool and NumPy. Null if the thread does not hold the GIL (is not
/// attached, on a free-threaded build) or runs no Python code.
threads::SourceLine python_line() noexcept;

}  // namespace numpool::bindings
