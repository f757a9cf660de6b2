#pragma once

namespace numpool::threads {

/// Makes every thread of the process run a full memory barrier before it returns; those that do
/// not run at the moment had one when they stopped. Costs a few microseconds, and saves the
/// threads that are to be observed a barrier in each of their operations.
void heavy_barrier() noexcept;

}  // namespace numpool::threads
