#pragma once

namespace numpool::pages {

/// Tells the C library's heap to keep the memory that the program frees, instead of giving it back
/// to the system and faulting it in again. Throws BadArgument, with nothing changed, where `malloc`
/// is not glibc's.
void keep_heap();

/// Lets the heap give memory back again, and gives back what it can now. Nothing happens where it
/// does not keep it. glibc stops adapting its thresholds once they were set, so they get the
/// values at which it stops adapting by itself.
void release_heap() noexcept;

}  // namespace numpool::pages
