#pragma once

#include <cstddef>
#include <limits>

namespace numpool::pools {

/// How a fixed pool is made.
struct FixedPoolOptions {
    static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

    std::size_t block_size = 0;
    std::size_t blocks = 0;
    /// The most blocks that it may grow to, `blocks` or more.
    std::size_t max_blocks = 0;
    /// Where blocks start; 0 lets the pool choose by the size, 64 at most.
    std::size_t align = 0;
    /// Bytes of a released block stay as they are: the free list's link then lies behind them.
    bool keep_contents = false;
    /// Keep a byte for each block that says whether it is live, for the functions of the ledger.
    bool ledger = false;
    /// Ask for huge pages if a block is as large as one or larger.
    bool huge_pages = true;
};

}  // namespace numpool::pools
