#pragma once

#include <cstddef>
#include <list>

#include "threads/lifecycle/pool.hpp"

namespace numpool::threads {

class PoolLifecycle;

/// A pool's entry in the list of all pools, by which addresses find their pool.
class PoolListing {
  public:
    /// Throws std::bad_alloc.
    explicit PoolListing(PoolLifecycle& pool);
    PoolListing(const PoolListing&) = delete;
    PoolListing& operator=(const PoolListing&) = delete;
    ~PoolListing();

    /// The pool that the address belongs to; an empty handle where there is none. Of pools that
    /// draw on each other it is the newest.
    static PoolHandle<Pool> find(const std::byte* address) noexcept;

  private:
    PoolLifecycle& pool_;
    std::list<PoolListing*>::iterator place_;
};

}  // namespace numpool::threads
