#pragma once

#include <cstddef>

namespace numpool::pages {

/// The memory that this process may use: the smallest of the machine's memory, the limits of its
/// cgroups, RLIMIT_AS and RLIMIT_DATA. Each call reads them again.
std::size_t memory_limit() noexcept;

}  // namespace numpool::pages
