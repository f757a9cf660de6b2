#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "pools/span/span_bank.hpp"

namespace numpool::pools {

/// Large blocks of any size, each a span with a coloured start; one thread at a time.
///
/// A block starts a multiple of 1344 bytes (modulo 4096) into its span: streams whose addresses
/// agree in their low bits get in each other's way. Starts are multiples of 64.
class SpanPool {
  public:
    static constexpr std::size_t colour_step = 1344;
    static constexpr std::size_t colour_period = 4096;

    explicit SpanPool(SpanBank& bank) noexcept : bank_{bank} {}

    /// A block of `bytes`, or null where the bank refuses; `bank.refusal()` says why.
    std::byte* acquire(std::size_t bytes, bool zeroed = false) noexcept {
        Span* const span = bank_.acquire(with_room(bytes), zeroed);
        if (span == nullptr) return nullptr;
        // A span that comes again as it was keeps its colour: the pages it has are the right ones.
        if (span->offset == Span::no_offset) [[unlikely]] {
            span->offset = static_cast<std::uint32_t>(colour_);
            colour_ = (colour_ + colour_step) % colour_period;
        }
        span->requested = bytes;
        return span->start + span->offset;
    }

    /// The span of the live block that starts here, or null.
    Span* span_of(const std::byte* block) const noexcept {
        Span* const span = bank_.find(block);
        return span != nullptr && span->start + span->offset == block ? span : nullptr;
    }

    /// Takes a block back. False, and nothing has changed, where no live block starts here.
    bool release(std::byte* block) noexcept {
        Span* const span = span_of(block);
        if (span == nullptr) return false;
        bank_.release(span);
        return true;
    }

    /// A block of `bytes` with the contents of this one, which is gone unless null is returned;
    /// null, too, where no live block starts here. What is new is not zeroed.
    std::byte* reallocate(std::byte* block, std::size_t bytes) noexcept {
        Span* span = span_of(block);
        if (span == nullptr) return nullptr;
        if (granules_for(with_room(bytes)) < span->granules) {
            bank_.shrink(span, with_room(bytes));
        } else {
            span = bank_.grow(span, with_room(bytes));
            if (span == nullptr) return nullptr;
        }
        span->requested = bytes;
        return span->start + span->offset;
    }

    /// The live block's bytes as they were asked for; 0 where no live block starts here.
    std::size_t requested(const std::byte* block) const noexcept {
        const Span* const span = span_of(block);
        return span == nullptr ? 0 : span->requested;
    }

    /// The start of the live block that holds this address, or null.
    std::byte* block_of(const void* address) const noexcept {
        Span* const span = bank_.find(address);
        if (span == nullptr) return nullptr;
        std::byte* const block = span->start + span->offset;
        const auto* const at = static_cast<const std::byte*>(address);
        return at >= block && at < block + span->requested ? block : nullptr;
    }

  private:
    /// Bytes of a span for a block with room for a colour; what cannot be had stays what cannot be
    /// had.
    static constexpr std::size_t with_room(std::size_t bytes) noexcept {
        constexpr std::size_t room = colour_period - 64;
        return bytes > std::numeric_limits<std::size_t>::max() - room ? bytes : bytes + room;
    }

    SpanBank& bank_;
    std::size_t colour_ = 0;
};

}  // namespace numpool::pools
