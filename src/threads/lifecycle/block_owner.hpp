#pragma once

#include <cstddef>

namespace numpool::threads {

/// Gets a block back when its last user lets go.
class BlockOwner {
  public:
    BlockOwner() = default;
    BlockOwner(const BlockOwner&) = delete;
    BlockOwner& operator=(const BlockOwner&) = delete;

    /// Ends the use of a live block; `bytes` is the requested size, as far as the caller knows it.
    /// Any thread may call. Afterwards the owner may be gone.
    virtual void release(std::byte* block, std::size_t bytes = 0) noexcept = 0;

    /// Like `release`, for a block whose contents are not what the owner's constructor made.
    virtual void release_unused(std::byte* block) noexcept { release(block); }

  protected:
    virtual ~BlockOwner() = default;
};

}  // namespace numpool::threads
