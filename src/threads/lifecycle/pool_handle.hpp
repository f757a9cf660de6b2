#pragma once

#include <utility>

namespace numpool::threads {

/// A handle on a pool, counted in the pool itself.
template <class SomePool>
class PoolHandle {
  public:
    PoolHandle() noexcept = default;
    explicit PoolHandle(SomePool* pool) noexcept : pool_{pool} {
        if (pool_ != nullptr) pool_->add_handle();
    }
    PoolHandle(const PoolHandle& other) noexcept : PoolHandle{other.pool_} {}
    PoolHandle(PoolHandle&& other) noexcept : pool_{std::exchange(other.pool_, nullptr)} {}
    PoolHandle& operator=(PoolHandle other) noexcept {
        std::swap(pool_, other.pool_);
        return *this;
    }
    ~PoolHandle() {
        if (pool_ != nullptr) pool_->drop_handle();
    }

    SomePool* get() const noexcept { return pool_; }
    SomePool* operator->() const noexcept { return pool_; }
    SomePool& operator*() const noexcept { return *pool_; }

  private:
    SomePool* pool_ = nullptr;
};

}  // namespace numpool::threads
