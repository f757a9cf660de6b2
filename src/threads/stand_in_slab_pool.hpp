#pragma once

#include <mutex>
#include <string>

#include "pools/slab_pool.hpp"
#include "threads/byte_source.hpp"
#include "threads/fork.hpp"
#include "threads/pool.hpp"

namespace numpool::threads {

/// A slab pool behind a lock: a stand-in until SharedSlabPool is here.
class StandInSlabPool final : public Pool, public ByteSource, private ForkGuarded {
  public:
    StandInSlabPool() { guard(); }

    std::byte* try_acquire(std::size_t bytes) noexcept override {
        const std::lock_guard lock{mutex_};
        return pool_.try_acquire(bytes);
    }
    std::byte* try_acquire_zeroed(std::size_t bytes) noexcept override {
        const std::lock_guard lock{mutex_};
        return pool_.try_acquire_zeroed(bytes);
    }
    bool try_release(void* block, std::size_t bytes) noexcept override {
        const std::lock_guard lock{mutex_};
        return pool_.release(block, bytes);
    }
    std::byte* try_reallocate(void* block, std::size_t bytes) noexcept override {
        const std::lock_guard lock{mutex_};
        return pool_.try_reallocate(block, bytes);
    }
    std::size_t usable_size(const void* block) const noexcept override {
        const std::lock_guard lock{mutex_};
        return pool_.usable_size(block);
    }

    void release(std::byte* block) noexcept override { try_release(block, 0); }
    void add_handle() noexcept override {}
    void drop_handle() noexcept override {}
    const std::string& name() const noexcept override { return name_; }
    std::string title() const override { return "SlabPool 'default'"; }
    bool owns(const std::byte* address) const noexcept override { return pool_.owns(address); }
    PoolFigures figures() const override {
        const std::lock_guard lock{mutex_};
        const pools::SlabPoolFigures all = pool_.figures();
        PoolFigures figures;
        figures.requested = all.total.requested;
        figures.in_use = all.total.in_use;
        figures.peak = all.peak;
        figures.cached = all.total.cached;
        figures.committed = all.total.committed;
        figures.mapped = all.total.mapped;
        figures.limit = PoolFigures::no_limit;
        figures.blocks = all.total.blocks;
        figures.requests = all.total.requests;
        figures.hits = all.total.hits;
        figures.failures = all.failures;
        return figures;
    }
    std::size_t trim() override {
        const std::lock_guard lock{mutex_};
        return pool_.trim();
    }
    void check() const override {
        const std::lock_guard lock{mutex_};
        pool_.check();
    }
    void close() noexcept override {}
    bool closed() const noexcept override { return false; }

  private:
    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override { mutex_.unlock(); }

    mutable std::mutex mutex_;
    pools::SlabPool pool_;
    const std::string name_ = "default";
};

}  // namespace numpool::threads
