#pragma once

#include <cstddef>
#include <limits>

namespace numpool::pools {

/// The options of a fixed pool.
struct FixedPoolOptions {
    static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

    std::size_t block_size = 0;
    std::size_t blocks = 0;
    /// The most blocks that it may grow to; not below `blocks`.
    std::size_t max_blocks = 0;
    /// The alignment of blocks; 0: the pool chooses one by the size, at most 64.
    std::size_t align = 0;
    /// Keep the bytes of a released block: the free list's link then lies behind them.
    bool keep_contents = false;
    /// Record which blocks are live, for the functions that need a ledger.
    bool ledger = false;
    /// Ask for huge pages if a block is at least as large as one.
    bool huge_pages = true;
};

}  // namespace numpool::pools
