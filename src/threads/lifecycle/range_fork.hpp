#pragma once

namespace numpool::threads {

/// From now on a fork takes the locks of the process's address range and of its owners, after those
/// of all pools: a thread takes them while it holds a pool's lock.
void guard_range_for_fork();

}  // namespace numpool::threads
