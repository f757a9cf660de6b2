#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "pools/span/span_bank.hpp"

namespace numpool::pools {

/// Large blocks of any size, each in a span of its own; one thread at a time.
///
/// A block starts at an offset into its span, a multiple of 1344 bytes modulo 4096 (its colour).
/// Without it all large blocks would start at equal low address bits, and arrays that are read
/// together would compete for the same cache sets. Offsets are multiples of 64.
class SpanPool {
  public:
    static constexpr std::size_t colour_step = 1344;
    static constexpr std::size_t colour_period = 4096;

    explicit SpanPool(SpanBank& bank) noexcept : bank_{bank} {}

    /// A block of `bytes`, or null if the bank refuses; `bank.refusal()` tells why.
    std::byte* acquire(std::size_t bytes, bool zeroed = false) noexcept {
        Span* const span = bank_.acquire(with_room(bytes), zeroed);
        if (span == nullptr) return nullptr;
        // A resting span keeps its offset, so the block gets the same pages again.
        if (span->offset == Span::no_offset) [[unlikely]] {
            span->offset = static_cast<std::uint32_t>(colour_);
            colour_ = (colour_ + colour_step) % colour_period;
        }
        span->requested = bytes;
        ++blocks_;
        requested_ += bytes;
        return span->start + span->offset;
    }

    /// The span of the live block that starts here, or null. Any thread may call this for a block
    /// that the caller keeps alive.
    Span* span_of(const std::byte* block) const noexcept {
        Span* const span = bank_.find(block);
        return span != nullptr && span->start + span->offset == block ? span : nullptr;
    }

    /// Takes a block back. False, and nothing has changed, if no live block starts here.
    bool release(std::byte* block) noexcept {
        Span* const span = span_of(block);
        if (span == nullptr) return false;
        --blocks_;
        requested_ -= span->requested;
        bank_.release(span);
        return true;
    }

    /// A block of `bytes` with the contents of this one, which ends. The new part is not zeroed.
    /// Null, and the old block is as it was, if the bank refuses or no live block starts here.
    std::byte* reallocate(std::byte* block, std::size_t bytes) noexcept {
        Span* span = span_of(block);
        if (span == nullptr) return nullptr;
        const std::size_t old_bytes = span->requested;
        if (granules_for(with_room(bytes)) < span->granules) {
            bank_.shrink(span, with_room(bytes));
        } else {
            span = bank_.grow(span, with_room(bytes));
            if (span == nullptr) return nullptr;
        }
        span->requested = bytes;
        requested_ += bytes - old_bytes;
        return span->start + span->offset;
    }

    /// The bytes that were requested for the live block that starts here; 0 if there is none.
    std::size_t requested(const std::byte* block) const noexcept {
        const Span* const span = span_of(block);
        return span == nullptr ? 0 : span->requested;
    }

    /// The number of live blocks, and the bytes that were requested for them.
    std::size_t blocks() const noexcept { return blocks_; }
    std::size_t requested() const noexcept { return requested_; }

  private:
    /// The bytes of a span for a block and its offset. A size that would overflow stays as it is,
    /// and the bank refuses it.
    static constexpr std::size_t with_room(std::size_t bytes) noexcept {
        constexpr std::size_t room = colour_period - 64;
        return bytes > std::numeric_limits<std::size_t>::max() - room ? bytes : bytes + room;
    }

    SpanBank& bank_;
    std::size_t colour_ = 0;
    std::size_t blocks_ = 0;
    std::size_t requested_ = 0;
};

}  // namespace numpool::pools
