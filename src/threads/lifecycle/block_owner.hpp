#pragma once

#include <cstddef>

namespace numpool::threads {

class Pool;

/// Where a block goes when its last use ends.
class BlockOwner {
  public:
    BlockOwner() = default;
    BlockOwner(const BlockOwner&) = delete;
    BlockOwner& operator=(const BlockOwner&) = delete;

    /// Ends the use of a live block; `bytes` is the requested size, as far as the caller knows it.
    /// Any thread may call. Afterwards the owner may be gone.
    virtual void release(std::byte* block, std::size_t bytes = 0) noexcept = 0;

    /// Like `release`, for a block that must be constructed again before its next use.
    virtual void release_unused(std::byte* block) noexcept { release(block); }

    /// The pool whose blocks these are; null where it is none.
    virtual Pool* pool_of_blocks() noexcept { return nullptr; }

  protected:
    virtual ~BlockOwner() = default;
};

}  // namespace numpool::threads
