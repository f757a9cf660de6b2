#pragma once

#include <cstddef>
#include <vector>

namespace numpool::pools {

/// What one size class does. Bytes, and counts where it says so.
struct ClassFigures {
    std::size_t block_size = 0;
    /// In use, as asked for: right to within the class's rounding where releases say no size.
    std::size_t requested = 0;
    /// In use, as rounded.
    std::size_t in_use = 0;
    /// Not in use, and may have pages.
    std::size_t cached = 0;
    /// What may have pages.
    std::size_t committed = 0;
    /// Addresses that its slabs take.
    std::size_t mapped = 0;
    /// Count of blocks in use.
    std::size_t blocks = 0;
    /// Count of requests so far.
    std::size_t requests = 0;
    /// Bytes of all requests so far, as asked for.
    std::size_t asked = 0;
    /// Count of those that a block at hand met, or of large ones that needed no new pages.
    std::size_t hits = 0;
};

/// What a slab pool does: its classes, its spans and their sum.
struct SlabPoolFigures {
    ClassFigures total;
    /// Blocks above the largest class.
    ClassFigures spans;
    /// The most that was ever in use, or on its way to or from a user.
    std::size_t peak = 0;
    /// The most that slabs and spans ever held, cached ones included.
    std::size_t peak_committed = 0;
    std::size_t limit = 0;
    std::size_t failures = 0;
    std::vector<ClassFigures> classes;
};

}  // namespace numpool::pools
