#pragma once

#include "threads/lifecycle/block_owner.hpp"
#include "threads/lifecycle/byte_source.hpp"

namespace numpool::threads {

/// Stands between a pool and its users: they get the layer's blocks, each inside one of the pool's.
/// The pool owns its layer, and a live block of the layer is a live block of the pool.
class BlockLayer : public BlockOwner, public ByteSource {
  public:
    ~BlockLayer() override = default;

    /// From now on the layer keeps no block of the pool that its users have released.
    virtual void retire() noexcept = 0;

    /// Reports that an address was freed that is no block of any pool that was asked.
    virtual void report_stray(const void* address) noexcept = 0;
};

}  // namespace numpool::threads
