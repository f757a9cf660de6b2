#pragma once

#include "threads/arena/shared_arena.hpp"

namespace numpool::bindings {

/// Looks for the arrays and views in these blocks, and says of each that it finds what it is: the
/// allocator that made a block is never told the shape of the array in it.
///
/// It looks at what the frames that run now hold and at what the garbage collector knows; what only
/// C code holds stays unnamed. It calls nothing of what it looks at, changes and keeps none of it,
/// throws nothing, and stops after 50 ms; one that asks again and again is kept by it for a tenth
/// of the time at most.
void name_what_is_in(threads::SharedArena::Usage& usage) noexcept;

}  // namespace numpool::bindings
