#pragma once

namespace numpool {

/// Every thread of the process runs a full memory barrier before this returns. A thread that is not
/// running had one when it stopped. The call takes a few microseconds; in return, the other threads
/// need no barrier in their own operations.
void heavy_barrier() noexcept;

}  // namespace numpool
