#pragma once

#include <cstddef>
#include <list>

#include "threads/lifecycle/pool.hpp"

namespace numpool::threads {

/// Has a pool be found by the addresses of its memory, as long as it lives: a pool's last member.
///
/// The pool's class has `bool add_handle_if_owns(const std::byte*) noexcept`: true, and one handle
/// more, where the address is the pool's. It must refuse while nobody has a handle or a live block,
/// as the pool is then on its way to its end. It is called from any thread, not through the vtable,
/// which changes while a pool is made and destroyed.
class PoolListing {
  public:
    /// Throws std::bad_alloc.
    template <class SomePool>
    explicit PoolListing(SomePool& pool)
        : PoolListing{pool, [](Pool& listed, const std::byte* address) {
                          auto& one = static_cast<SomePool&>(listed);
                          return one.SomePool::add_handle_if_owns(address);
                      }} {}
    PoolListing(const PoolListing&) = delete;
    PoolListing& operator=(const PoolListing&) = delete;
    ~PoolListing();

    /// The pool that the address belongs to, an empty handle where there is none. Of pools that
    /// draw on each other it is the one that was made last.
    static PoolHandle<Pool> find(const std::byte* address) noexcept;

  private:
    using AddHandle = bool(Pool& pool, const std::byte* address);

    PoolListing(Pool& pool, AddHandle* add_handle_if_owns);

    Pool& pool_;
    AddHandle* add_handle_if_owns_;
    std::list<PoolListing*>::iterator place_;
};

}  // namespace numpool::threads
