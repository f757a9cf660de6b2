#pragma once

#include "threads/lifecycle/block_owner.hpp"
#include "threads/lifecycle/byte_source.hpp"

namespace numpool::threads {

/// A layer between a pool and its users, who get the layer's blocks. Each of these lies inside a
/// block of the pool. The pool owns its layer, and a live block of the layer is one of the pool.
class BlockLayer : public BlockOwner, public ByteSource {
  public:
    ~BlockLayer() override = default;

    /// From now on the layer gives each released block to the pool at once.
    virtual void retire() noexcept = 0;

    /// Whether the address is in a block of the layer that lies outside the pool's memory.
    virtual bool contains(const std::byte* address) const noexcept = 0;

    /// Reports the free of an address that is no block of this pool or of its fallback.
    virtual void report_stray(const void* address) noexcept = 0;
};

}  // namespace numpool::threads
