#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "pools/arena/arena.hpp"

namespace numpool::threads {

/// Why an arena can't end: how many blocks are in use, and the first few of them.
struct ArenaUsage {
    /// A block in use, and the text for its contents; empty where they are unknown.
    struct Named {
        pools::Arena::Used block;
        std::string what;
    };
    static constexpr std::size_t named_in_errors = 4;

    std::size_t blocks = 0;
    std::vector<Named> first;

    /// "3 blocks are still in use by arrays or views: (10, 10) float64 of 800 bytes, …"; a block
    /// whose contents are unknown is named by its address.
    std::string text() const;
};

}  // namespace numpool::threads
