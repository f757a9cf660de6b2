#pragma once

#include <cstddef>
#include <memory_resource>
#include <new>
#include <type_traits>
#include <utility>

#include "numpool/pools.hpp"

namespace numpool {

/// A pool for the containers of std::pmr. It is a handle on the pool. Refused requests throw
/// BadAlloc.
class memory_resource final : public std::pmr::memory_resource {
  public:
    explicit memory_resource(Pool pool) noexcept : pool_{std::move(pool)} {}

    const Pool& pool() const noexcept { return pool_; }

  private:
    void* do_allocate(std::size_t bytes, std::size_t align) override {
        return pool_.allocate(bytes, align);
    }
    void do_deallocate(void* block, std::size_t bytes, std::size_t align) override {
        pool_.deallocate(block, bytes, align);
    }
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
        const auto* const one = dynamic_cast<const memory_resource*>(&other);
        return one != nullptr && one->pool_ == pool_;
    }

    Pool pool_;
};

/// A pool for containers that have an allocator type, like std::vector. It is a handle on the pool,
/// and moves with the contents when a container is assigned or swapped.
template <class T>
class allocator {
  public:
    using value_type = T;
    using propagate_on_container_copy_assignment = std::true_type;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;
    using is_always_equal = std::false_type;

    // NOLINTNEXTLINE: implicit, so that a pool can be passed as an allocator.
    allocator(Pool pool) noexcept : pool_{std::move(pool)} {}
    template <class Other>
    allocator(const allocator<Other>& other) noexcept : pool_{other.pool()} {}

    T* allocate(std::size_t count) {
        if (count > static_cast<std::size_t>(-1) / sizeof(T)) throw std::bad_array_new_length{};
        return static_cast<T*>(pool_.allocate(count * sizeof(T), alignof(T)));
    }
    void deallocate(T* block, std::size_t count) noexcept {
        pool_.deallocate(block, count * sizeof(T), alignof(T));
    }

    const Pool& pool() const noexcept { return pool_; }

    template <class Other>
    friend bool operator==(const allocator& one, const allocator<Other>& other) noexcept {
        return one.pool() == other.pool();
    }

  private:
    Pool pool_;
};

}  // namespace numpool
