#pragma once

#include <cstddef>
#include <cstdint>

#include "pages/source/page_source.hpp"

namespace numpool::pools {

/// What lies before each block of a chunk.
struct ArenaHeader {
    std::size_t bytes;
    /// How far back the header before it is, in units of 16 bytes; 0 in a chunk's first one.
    std::uint32_t previous;
    /// How many uses, and whether a ticket is held: 0 is a dead block.
    std::uint32_t users;
};

/// An extent: a chunk of blocks, or one large block.
struct ArenaChunk {
    pages::Extent pages;
    /// Counts up whenever an extent comes into use; 0 is none.
    std::uint64_t number = 0;
    /// A chunk's own; it grows along the chain, so that it tells which are spare. 0 is none.
    std::uint64_t position = 0;
    /// Where the next block's header may start.
    std::byte* top = nullptr;
    ArenaHeader* last = nullptr;
    /// Live ones; right in chunks that are newer than the newest mark's.
    std::size_t blocks = 0;
    bool is_large = false;
    /// A large block's: that block starts where the extent does.
    ArenaHeader large{};
    ArenaChunk* older = nullptr;
    ArenaChunk* newer = nullptr;
};

/// Chunks, linked from the oldest to the newest.
struct ArenaChain {
    ArenaChunk* first = nullptr;
    ArenaChunk* last = nullptr;
    void append(ArenaChunk& chunk) noexcept;
    void remove(ArenaChunk& chunk) noexcept;
};

}  // namespace numpool::pools
