#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "pools/magazine/free_block.hpp"
#include "pools/slab/slab_layout.hpp"
#include "pools/span/span.hpp"

namespace numpool::pools {

/// The record of one slab: which of its equal blocks are unused, and which of those were touched.
///
/// The record lies away from the blocks, which have no link and no header. So a stray write into a
/// free block does no harm, untouched blocks stay untouched, and a double release is noticed. Two
/// bits for each block are 0.4 % of a 64-byte block. Two bitmaps of `SlabLayout::words()` words
/// each follow the record, so it needs `record_bytes` bytes.
class Slab {
  public:
    static std::size_t record_bytes(const SlabLayout& layout) noexcept {
        return sizeof(Slab) + 2 * layout.words() * sizeof(std::uint64_t);
    }

    /// A record without a slab.
    Slab() noexcept = default;

    /// A slab whose blocks are all unused. Those in the span's last `zero_bytes` are fresh.
    Slab(const SlabLayout& layout, Span& span) noexcept;

    /// Writes up to `most` unused blocks to `blocks`, the lowest addresses first. Returns how many.
    std::size_t acquire(const SlabLayout& layout, FreeBlock* blocks, std::size_t most) noexcept;

    /// Like `acquire`, but touched blocks only.
    std::size_t acquire_touched(const SlabLayout& layout, FreeBlock* blocks,
                                std::size_t most) noexcept;

    /// Makes a block unused again. False, and nothing has changed, if no block starts at the
    /// address or the block is unused already.
    bool release(const SlabLayout& layout, FreeBlock block) noexcept {
        const std::size_t index =
            layout.stride.exact_quotient(static_cast<std::size_t>(block.start() - first_));
        if (index >= layout.blocks || is_unused(index)) [[unlikely]]
            return false;
        const std::size_t word = index / 64;
        const std::uint64_t bit = std::uint64_t{1} << index % 64;
        std::uint64_t* const unused_bits = unused_words();
        unused_bits[word] |= bit;
        unused_bits[layout.words() + word] |= block.fresh() ? 0 : bit;
        first_word_ = std::min(first_word_, static_cast<std::uint32_t>(word));
        ++unused_count_;
        return true;
    }

    /// The first run of unused blocks from block `from` on; empty if there is none.
    struct Run {
        std::size_t first;
        std::size_t end;
    };
    Run unused_run(const SlabLayout& layout, std::size_t from) const noexcept;

    /// Whether a block starts at the address and is acquired.
    bool is_out(const SlabLayout& layout, const std::byte* block) const noexcept;

    /// The whole pages inside a run of unused blocks. They include the rest of the slab before its
    /// first block, or behind its last one, if the run reaches it. Empty if no block was touched.
    pages::Extent purgeable(const SlabLayout& layout, Run run) const noexcept;

    /// Notes that these pages were purged. Returns how many touched blocks became fresh.
    std::size_t note_purged(const SlabLayout& layout, Run run, pages::Extent pages) noexcept;

    /// Counts the unused blocks that were touched.
    std::size_t count_touched(const SlabLayout& layout) const noexcept;

    /// Throws Corrupted if the counts and the bitmaps contradict each other.
    void check(const SlabLayout& layout) const;

    Span& span() const noexcept { return *span_; }
    std::size_t unused() const noexcept { return unused_count_; }
    bool holds(const std::byte* address) const noexcept {
        return static_cast<std::size_t>(address - span_->start) < span_->bytes();
    }
    std::byte* block_at(const SlabLayout& layout, std::size_t index) const noexcept {
        return first_ + index * layout.stride.bytes();
    }

    /// Links of a SlabList.
    Slab* next = nullptr;
    Slab* previous = nullptr;

  private:
    template <class Choose>
    std::size_t acquire_where(Choose choose, const SlabLayout& layout, FreeBlock* blocks,
                              std::size_t most) noexcept;

    std::uint64_t* unused_words() noexcept { return reinterpret_cast<std::uint64_t*>(this + 1); }
    const std::uint64_t* unused_words() const noexcept {
        return reinterpret_cast<const std::uint64_t*>(this + 1);
    }
    bool is_unused(std::size_t index) const noexcept {
        return (unused_words()[index / 64] >> (index % 64) & 1) != 0;
    }

    std::uint32_t unused_count_ = 0;
    /// No unused block lies in a word before this one.
    std::uint32_t first_word_ = 0;
    std::byte* first_ = nullptr;
    Span* span_ = nullptr;
};

}  // namespace numpool::pools
