#pragma once

namespace numpool {

/// Makes each thread of the process run a full memory barrier before this returns; a thread that
/// does not run at the moment had one when it stopped. It costs a few microseconds, and saves the
/// other threads a barrier in each of their operations.
void heavy_barrier() noexcept;

}  // namespace numpool
