#pragma once

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <random>
#include <set>
#include <string>

#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/pool.hpp"

namespace numpool::threads {

/// A pool that fails at random, and counts the blocks that it handed out.
class MoodyPool final : public Pool, public ByteSource {
  public:
    std::byte* try_acquire(std::size_t bytes) noexcept override {
        const std::lock_guard lock{mutex_};
        if (left == 0 || random_() % 100 < failing_percent) return nullptr;
        --left;
        auto* const block = static_cast<std::byte*>(std::malloc(bytes));
        given_.insert(block);
        return block;
    }
    std::byte* try_acquire_zeroed(std::size_t) noexcept override { return nullptr; }
    bool try_release(void* block, std::size_t) noexcept override {
        const std::lock_guard lock{mutex_};
        if (given_.erase(static_cast<std::byte*>(block)) == 0) std::abort();
        ++left;
        std::free(block);
        return true;
    }
    std::byte* try_reallocate(void*, std::size_t) noexcept override { return nullptr; }
    std::size_t usable_size(const void*) const noexcept override { return 0; }
    std::string refusal(std::size_t) const override { return "MoodyPool is moody"; }
    bool leaves_to_others(std::size_t) const noexcept override { return false; }

    void release(std::byte* block, std::size_t) noexcept override { try_release(block, 0); }
    void add_handle() noexcept override { ++handles; }
    void drop_handle() noexcept override { --handles; }
    const std::string& name() const noexcept override { return name_; }
    std::string title() const override { return "MoodyPool"; }
    bool owns(const std::byte* block) const noexcept override {
        const std::lock_guard lock{mutex_};
        return given_.count(const_cast<std::byte*>(block)) != 0;
    }
    PoolFigures figures() const override { return {}; }
    std::size_t trim() override { return 0; }
    void reset_peak() noexcept override {}
    void check() const override {}
    void close() noexcept override {}
    bool closed() const noexcept override { return false; }

    std::size_t given() const {
        const std::lock_guard lock{mutex_};
        return given_.size();
    }

    std::atomic<unsigned> failing_percent = 0;
    std::atomic<std::size_t> left = 1000;
    std::atomic<int> handles = 0;

  private:
    mutable std::mutex mutex_;
    std::mt19937 random_{6};
    std::set<std::byte*> given_;
    std::string name_;
};

}  // namespace numpool::threads
