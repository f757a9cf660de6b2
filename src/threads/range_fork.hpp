#pragma once

namespace numpool::threads {

/// From now on a fork finds the lock of the process's address range free: it takes it itself,
/// after the locks of all pools, whose threads take it while they hold theirs.
void guard_range_for_fork();

}  // namespace numpool::threads
