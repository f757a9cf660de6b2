#pragma once

#include "threads/fixed/shared_fixed_pool.hpp"

namespace numpool::threads {

/// The options of a pool of exactly so many blocks.
inline SharedFixedPoolOptions options_for(std::size_t block_size, std::size_t blocks) {
    SharedFixedPoolOptions options;
    options.block_size = block_size;
    options.blocks = options.max_blocks = blocks;
    options.name = "test";
    return options;
}

}  // namespace numpool::threads
