#pragma once

namespace numpool::pages {

/// Makes glibc's heap keep the memory that the program frees. Otherwise it gives memory back to the
/// system and faults it in again. Throws BadArgument, and changes nothing, if `malloc` is not
/// glibc's.
void keep_heap();

/// Ends `keep_heap`, and gives back the heap's free memory. Does nothing without `keep_heap`
/// before. glibc no longer adapts thresholds that were set once, so they get the largest values to
/// which it adapts by itself.
void release_heap() noexcept;

}  // namespace numpool::pages
