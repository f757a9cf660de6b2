#pragma once

namespace numpool::threads {

/// From now on a fork finds the locks of the process's address range and of its owners free: it
/// takes them itself, after the locks of all pools, whose threads take them while they hold theirs.
void guard_range_for_fork();

}  // namespace numpool::threads
