#pragma once

#include <cstddef>
#include <cstdint>

namespace numpool::pools {

/// An unused block in a magazine or in a batch. The lowest bit of a block's address is always 0, so
/// here it tells whether the block is fresh: untouched since its pages came, so it reads as zero.
class FreeBlock {
  public:
    FreeBlock() noexcept = default;
    FreeBlock(std::byte* start, bool fresh) noexcept
        : bits_{reinterpret_cast<std::uintptr_t>(start) | (fresh ? 1U : 0U)} {}

    std::byte* start() const noexcept {
        return reinterpret_cast<std::byte*>(bits_ & ~std::uintptr_t{1});
    }
    explicit operator bool() const noexcept { return bits_ != 0; }
    bool fresh() const noexcept { return (bits_ & 1) != 0; }

  private:
    std::uintptr_t bits_;
};

}  // namespace numpool::pools
