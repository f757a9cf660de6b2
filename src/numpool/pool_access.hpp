#pragma once

#include "numpool/pools.hpp"
#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/pool_lifecycle.hpp"

namespace numpool {

/// Access to the pool behind a handle, for the library's own sources.
struct PoolAccess {
    static threads::PoolLifecycle& lifecycle(const Pool& pool) noexcept { return *pool.pool_; }
    static threads::ByteSource& source(const Pool& pool) noexcept { return *pool.source_; }
};

}  // namespace numpool
