#pragma once

#include <cstddef>
#include <cstdint>

#include "pages/source/page_source.hpp"

namespace numpool::pools {

/// The header before each block of a chunk.
struct ArenaHeader {
    std::size_t bytes;
    /// The distance to the header of the previous block, in multiples of 16 bytes; 0 in the first
    /// one.
    std::uint32_t previous;
    /// The number of uses, and a bit that a ticket is held. 0: the block is dead.
    std::uint32_t users;
};

/// An extent: a chunk of blocks, or one large block.
struct ArenaChunk {
    pages::Extent pages;
    /// Higher than that of all extents that came into use before; 0 is none.
    std::uint64_t number = 0;
    /// Of a chunk: its position in the chain, which tells whether it is spare. 0 is none.
    std::uint64_t position = 0;
    /// Where the next block's header may start.
    std::byte* top = nullptr;
    ArenaHeader* last = nullptr;
    /// The number of live blocks. It is right only in chunks that are newer than the newest mark.
    std::size_t blocks = 0;
    bool is_large = false;
    /// The header of a large block, which starts where the extent does.
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
