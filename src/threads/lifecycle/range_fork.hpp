#pragma once

namespace numpool::threads {

/// From now on a fork takes the locks of the process's address range and of its owners. It takes
/// them after the pools' locks, as threads do.
void guard_range_for_fork();

}  // namespace numpool::threads
