#pragma once

#include <cstddef>

#include "pools/span_bank.hpp"

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
    std::byte* acquire(std::size_t bytes, bool zeroed = false) noexcept;

    /// Takes a block back. False, and nothing has changed, where no live block starts here.
    bool release(std::byte* block) noexcept;

    /// A block of `bytes` with the contents of this one, which is gone unless null is returned;
    /// null, too, where no live block starts here. What is new is not zeroed.
    std::byte* reallocate(std::byte* block, std::size_t bytes) noexcept;

    /// The live block's bytes as they were asked for; 0 where no live block starts here.
    std::size_t requested(const std::byte* block) const noexcept;

    /// The start of the live block that holds this address, or null.
    std::byte* block_of(const void* address) const noexcept;

  private:
    Span* span_of(const std::byte* block) const noexcept;

    SpanBank& bank_;
    std::size_t colour_ = 0;
};

}  // namespace numpool::pools
