#pragma once

#include <atomic>
#include <cstdint>

/// The words in shared memory that processes change. Each has 64 bits and changes by one atomic
/// operation. So a killed process leaves every word in its old or its new state.
namespace numpool::processes {

/// How many processes can use one pool at a time: each has a bit in every block's word.
inline constexpr unsigned most_processes = 45;

/// A process that uses the pool: its slot, and which use of the slot this is.
struct Member {
    unsigned slot = 0;
    std::uint32_t generation = 0;
};

/// What a granule of shared memory is: free, claimed by a process, the first of a span, or a slab
/// of small blocks.
///
/// The granules of a span after its first stay claimed by the process that made the span. The first
/// one's word decides: while it says `span`, all of them belong to the block.
class GranuleWord {
  public:
    enum class Kind : unsigned { free = 0, claimed = 1, span = 2, slab = 3 };

    constexpr GranuleWord() noexcept = default;
    constexpr explicit GranuleWord(std::uint64_t bits) noexcept : bits_{bits} {}
    /// `number`: a span's granules, or a slab's size class.
    constexpr GranuleWord(Kind kind, Member maker, std::uint32_t number = 0) noexcept
        : bits_{std::uint64_t{number} | std::uint64_t{maker.generation & generations} << 32 |
                std::uint64_t{maker.slot} << 56 |
                std::uint64_t{static_cast<unsigned>(kind)} << 62} {}

    constexpr std::uint64_t bits() const noexcept { return bits_; }
    constexpr Kind kind() const noexcept { return Kind{static_cast<unsigned>(bits_ >> 62)}; }
    constexpr unsigned slot() const noexcept { return static_cast<unsigned>(bits_ >> 56) & 63; }
    constexpr std::uint32_t generation() const noexcept {
        return static_cast<std::uint32_t>(bits_ >> 32) & generations;
    }
    constexpr std::uint32_t number() const noexcept { return static_cast<std::uint32_t>(bits_); }

    friend constexpr bool operator==(GranuleWord, GranuleWord) noexcept = default;

    static constexpr std::uint32_t generations = (1U << 24) - 1;

  private:
    std::uint64_t bits_ = 0;
};

/// What can reach a block: the processes that hold it, and messages on their way ("in transit").
///
/// A block that one process keeps for its next request is `cached`, and the bit of that process is
/// set, too. Any other process may change the word and so get the block. Every change raises the
/// version: if a word looks the same when it is read again, it has not changed in between.
class BlockWord {
  public:
    constexpr BlockWord() noexcept = default;
    constexpr explicit BlockWord(std::uint64_t bits) noexcept : bits_{bits} {}

    constexpr std::uint64_t bits() const noexcept { return bits_; }
    constexpr std::uint64_t holders() const noexcept { return bits_ & all_holders; }
    constexpr bool held_by(unsigned slot) const noexcept { return (bits_ >> slot & 1) != 0; }
    constexpr bool held_only_by(unsigned slot) const noexcept {
        return holders() == std::uint64_t{1} << slot && !pinned();
    }
    constexpr bool cached() const noexcept { return (bits_ & cached_bit) != 0; }
    constexpr bool in_transit() const noexcept { return (bits_ & transit_bit) != 0; }
    /// A process without a slot of its own may hold it: it stays until the pool ends.
    constexpr bool pinned() const noexcept { return (bits_ & pinned_bit) != 0; }
    /// A small block in its slab, which no process holds or caches.
    constexpr bool unused() const noexcept { return (bits_ & ~versions) == 0; }
    /// Live, but only in messages.
    constexpr bool only_in_transit() const noexcept { return (bits_ & ~versions) == transit_bit; }

    constexpr BlockWord as_unused() const noexcept { return next(0); }
    constexpr BlockWord as_cached(unsigned slot) const noexcept {
        return next(cached_bit | std::uint64_t{1} << slot);
    }
    constexpr BlockWord as_held_only_by(unsigned slot) const noexcept {
        return next(std::uint64_t{1} << slot);
    }
    constexpr BlockWord with_holder(unsigned slot) const noexcept {
        return next(state() | std::uint64_t{1} << slot);
    }
    constexpr BlockWord without_holder(unsigned slot) const noexcept {
        return next(state() & ~(std::uint64_t{1} << slot));
    }
    constexpr BlockWord with_transit() const noexcept { return next(state() | transit_bit); }
    constexpr BlockWord with_pin() const noexcept { return next(state() | pinned_bit); }

    friend constexpr bool operator==(BlockWord, BlockWord) noexcept = default;

  private:
    static constexpr std::uint64_t all_holders = (std::uint64_t{1} << most_processes) - 1;
    static constexpr std::uint64_t pinned_bit = std::uint64_t{1} << most_processes;
    static constexpr std::uint64_t cached_bit = pinned_bit << 1;
    static constexpr std::uint64_t transit_bit = cached_bit << 1;
    static constexpr std::uint64_t version_step = transit_bit << 1;
    static constexpr std::uint64_t versions = ~(version_step - 1);

    constexpr std::uint64_t state() const noexcept { return bits_ & ~versions; }
    constexpr BlockWord next(std::uint64_t state) const noexcept {
        return BlockWord{((bits_ & versions) + version_step) | state};
    }

    std::uint64_t bits_ = 0;
};

/// A block's number: its granule and, in a slab, its place there.
using BlockId = std::uint64_t;
inline constexpr unsigned most_blocks_in_slab_bits = 8;
constexpr BlockId block_id(std::uint32_t granule, std::uint32_t index) noexcept {
    return BlockId{granule} << most_blocks_in_slab_bits | index;
}
constexpr std::uint32_t granule_of(BlockId block) noexcept {
    return static_cast<std::uint32_t>(block >> most_blocks_in_slab_bits);
}
constexpr std::uint32_t index_of(BlockId block) noexcept {
    return block & ((1U << most_blocks_in_slab_bits) - 1);
}

/// A message on its way that leads to a block. It can be received once.
class MessageWord {
  public:
    /// `orphan`: the sender has ended, the message may still arrive.
    enum class Kind : unsigned { free = 0, making = 1, ready = 2, orphan = 3 };

    static constexpr unsigned block_bits = 34;
    static constexpr std::uint32_t serials = (1U << 22) - 1;

    constexpr MessageWord() noexcept = default;
    constexpr explicit MessageWord(std::uint64_t bits) noexcept : bits_{bits} {}
    constexpr MessageWord(Kind kind, unsigned slot, std::uint32_t serial, BlockId block) noexcept
        : bits_{block | std::uint64_t{serial & serials} << block_bits | std::uint64_t{slot} << 56 |
                std::uint64_t{static_cast<unsigned>(kind)} << 62} {}

    constexpr std::uint64_t bits() const noexcept { return bits_; }
    constexpr Kind kind() const noexcept { return Kind{static_cast<unsigned>(bits_ >> 62)}; }
    constexpr unsigned slot() const noexcept { return static_cast<unsigned>(bits_ >> 56) & 63; }
    constexpr std::uint32_t serial() const noexcept {
        return static_cast<std::uint32_t>(bits_ >> block_bits) & serials;
    }
    constexpr BlockId block() const noexcept {
        return bits_ & ((std::uint64_t{1} << block_bits) - 1);
    }
    constexpr MessageWord as(Kind kind) const noexcept { return {kind, slot(), serial(), block()}; }
    constexpr MessageWord as_free() const noexcept { return {Kind::free, 0, serial() + 1, 0}; }

    friend constexpr bool operator==(MessageWord, MessageWord) noexcept = default;

  private:
    std::uint64_t bits_ = 0;
};

/// One of these words in shared memory.
template <class Word>
class Shared {
  public:
    Word load() const noexcept { return Word{bits_.load(std::memory_order_acquire)}; }
    /// For words that no other thread may change now.
    void store(Word word) noexcept { bits_.store(word.bits(), std::memory_order_release); }
    bool compare_exchange(Word from, Word to) noexcept {
        std::uint64_t expected = from.bits();
        return bits_.compare_exchange_strong(expected, to.bits(), std::memory_order_seq_cst,
                                             std::memory_order_relaxed);
    }

  private:
    std::atomic<std::uint64_t> bits_;
    static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
};

}  // namespace numpool::processes
