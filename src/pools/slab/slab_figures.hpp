#pragma once

#include <cstddef>
#include <vector>

namespace numpool::pools {

/// The figures of one size class, or of all large blocks. In bytes, unless the comment says
/// "count".
struct ClassFigures {
    std::size_t block_size = 0;
    /// In use, as requested. If releases do not tell a size, it is exact only to the class's
    /// rounding.
    std::size_t requested = 0;
    /// In use, as rounded up.
    std::size_t in_use = 0;
    /// Not in use, but may have pages.
    std::size_t cached = 0;
    /// All that may have pages.
    std::size_t committed = 0;
    /// The addresses of its slabs.
    std::size_t mapped = 0;
    /// Count of blocks in use.
    std::size_t blocks = 0;
    /// Count of requests so far.
    std::size_t requests = 0;
    /// The bytes of all requests so far, as requested.
    std::size_t asked = 0;
    /// Count of requests served by a magazine, or of large ones that needed no new pages.
    std::size_t hits = 0;
};

/// The figures of a slab pool: its classes, its large blocks and their sum.
struct SlabPoolFigures {
    ClassFigures total;
    /// Large blocks, each in a span of its own.
    ClassFigures spans;
    /// The most that was ever in use or in magazines.
    std::size_t peak = 0;
    /// The most that may ever have had pages at once, cached spans included.
    std::size_t peak_committed = 0;
    std::size_t limit = 0;
    std::size_t failures = 0;
    std::vector<ClassFigures> classes;
};

}  // namespace numpool::pools
