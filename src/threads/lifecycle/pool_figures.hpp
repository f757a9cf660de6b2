#pragma once

#include <cstddef>

namespace numpool::threads {

/// A pool's figures at one moment. Bytes, then counts.
struct PoolFigures {
    std::size_t requested = 0;       ///< live blocks, as requested
    std::size_t in_use = 0;          ///< live blocks, as rounded
    std::size_t peak = 0;            ///< the most that in_use has been
    std::size_t cached = 0;          ///< committed, and in no live block
    std::size_t committed = 0;       ///< holding pages, as far as the pool knows
    std::size_t peak_committed = 0;  ///< the most that committed has been
    std::size_t mapped = 0;          ///< addresses taken
    std::size_t limit = 0;           ///< the bound of in_use; no_limit if there is none
    std::size_t blocks = 0;          ///< live blocks
    std::size_t requests = 0;        ///< blocks handed out
    std::size_t asked = 0;           ///< their bytes, as requested
    std::size_t hits = 0;            ///< of those, blocks that had been used before
    std::size_t growths = 0;         ///< times the pool took more address space
    std::size_t waits = 0;           ///< requests that had to wait
    std::size_t failures = 0;        ///< requests that were refused

    std::size_t in_file = 0;  ///< bytes on the disk, of the file that its pages lie in

    static constexpr std::size_t no_limit = ~std::size_t{0};
};

}  // namespace numpool::threads
