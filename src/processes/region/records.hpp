#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "processes/region/words.hpp"

/// The layout of shared memory: the records first, then a gap without access, then the data.
namespace numpool::processes {

inline constexpr std::size_t granule_bytes = std::size_t{64} << 10;
inline constexpr std::size_t smallest_block = 256;
inline constexpr std::uint32_t most_blocks_in_slab = 1U << most_blocks_in_slab_bits;
static_assert(smallest_block * most_blocks_in_slab == granule_bytes);
inline constexpr std::uint32_t most_granules = 1U << 26;
inline constexpr std::uint32_t most_messages = 1U << 18;

/// Sizes of small blocks are powers of two, so that each divides a granule.
inline constexpr std::uint32_t small_classes = 8;
constexpr std::size_t small_size(std::uint32_t number) noexcept {
    return smallest_block << number;
}

struct Slot {
    /// Raised when a process claims the slot and when it leaves; odd while a process has it.
    std::atomic<std::uint32_t> generation;
    std::atomic<std::uint32_t> pid;
    /// About how many granules others gave back to it, for its next requests.
    std::atomic<std::uint32_t> returned;
};

struct Header {
    std::uint64_t magic;
    std::uint32_t layout;
    std::uint32_t granules;
    std::array<std::uint64_t, 2> id;
    std::uint32_t wipe;
    /// How many of the records have memory behind them; they only grow.
    std::atomic<std::uint32_t> covered_granules;
    std::atomic<std::uint32_t> covered_messages;
    /// The copies that processes sent, and their bytes.
    std::atomic<std::uint64_t> copies;
    std::atomic<std::uint64_t> copied_bytes;
    std::array<Slot, most_processes> slots;
};

inline constexpr std::uint64_t magic = 0x6c6f6f706d756e01;
/// Raised when the records change. A region with another layout is refused.
inline constexpr std::uint32_t layout = 2;

struct Granule {
    Shared<GranuleWord> word;
    /// The word of a span's block. Those of small blocks are in SlabWords.
    Shared<BlockWord> block;
};

struct Message {
    Shared<MessageWord> word;
    /// When it was made, in milliseconds of the machine's monotonic clock.
    std::atomic<std::uint64_t> made;
};

using SlabWords = std::array<Shared<BlockWord>, most_blocks_in_slab>;

}  // namespace numpool::processes
