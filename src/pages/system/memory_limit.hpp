#pragma once

#include <cstddef>

namespace numpool::pages {

/// The memory that this process may use: the smallest of the machine's memory, the limits of the
/// cgroups that the process is in, and RLIMIT_AS and RLIMIT_DATA. Read anew at each call.
std::size_t memory_limit() noexcept;

}  // namespace numpool::pages
