#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/gate/counter.hpp"
#include "threads/lifecycle/pool_figures.hpp"
#include "threads/magazine/thread_magazines.hpp"

namespace numpool::threads {

/// What one budget counts: the bytes in use, which never exceed a ceiling, their peak, and how many
/// blocks there were. Any thread may call; no function takes a lock.
///
/// The bytes cost one locked instruction a block, since a limit must hold among all threads. The
/// counts of blocks cost none in the thread that made the account.
class BudgetAccount {
  public:
    static constexpr std::size_t unbounded = PoolFigures::no_limit;

    BudgetAccount(std::size_t most, std::size_t soft_limit) noexcept
        : limit{most}, soft{soft_limit} {}
    BudgetAccount(const BudgetAccount&) = delete;
    BudgetAccount& operator=(const BudgetAccount&) = delete;

    const std::size_t limit;
    const std::size_t soft;

    /// Adds `bytes`, at least 1. Returns what is in use now; 0, and nothing has changed, where that
    /// would exceed the ceiling.
    std::size_t add(std::size_t bytes) noexcept {
        std::size_t before = in_use_.load(std::memory_order_relaxed);
        do {
            if (!has_room(before, bytes)) [[unlikely]]
                return 0;
        } while (!in_use_.compare_exchange_weak(before, before + bytes, std::memory_order_relaxed));
        return before + bytes;
    }
    /// Whether an addition of `bytes` that made `after` bytes has crossed the soft limit.
    bool crosses_soft(std::size_t after, std::size_t bytes) const noexcept {
        return after > soft && after - bytes <= soft;
    }
    /// Whether an addition that made so many bytes changes the peak, or may have crossed the soft
    /// limit.
    bool is_notable(std::size_t after) const noexcept {
        return after > peak_.load(std::memory_order_relaxed) || after > soft;
    }
    void note_peak(std::size_t after) noexcept {
        std::size_t peak = peak_.load(std::memory_order_relaxed);
        if (after <= peak) [[likely]]
            return;
        while (after > peak &&
               !peak_.compare_exchange_weak(peak, after, std::memory_order_relaxed)) {
        }
    }
    /// Subtracts bytes that were added. Returns whether that has crossed the soft limit.
    bool subtract(std::size_t bytes) noexcept {
        const std::size_t before = in_use_.fetch_sub(bytes, std::memory_order_relaxed);
        return before > soft && before - bytes <= soft;
    }
    bool has_room_for(std::size_t bytes) const noexcept { return has_room(in_use(), bytes); }

    std::size_t in_use() const noexcept { return in_use_.load(std::memory_order_relaxed); }
    std::size_t peak() const noexcept { return peak_.load(std::memory_order_relaxed); }
    void reset_peak() noexcept { peak_.store(in_use(), std::memory_order_relaxed); }

    /// The limit, or less while additions are stopped.
    std::size_t ceiling() const noexcept { return ceiling_.load(std::memory_order_relaxed); }
    void set_ceiling(std::size_t bytes) noexcept {
        ceiling_.store(bytes, std::memory_order_relaxed);
    }

    void count_request(std::size_t bytes) noexcept {
        if (is_own_thread()) [[likely]] {
            own_requests_.add(1);
            own_asked_.add(static_cast<std::int64_t>(bytes));
        } else {
            requests_.fetch_add(1, std::memory_order_relaxed);
            asked_.fetch_add(bytes, std::memory_order_relaxed);
        }
    }
    void count_release() noexcept {
        if (is_own_thread()) [[likely]] {
            own_releases_.add(1);
        } else {
            releases_.fetch_add(1, std::memory_order_relaxed);
        }
    }
    void count_failure() noexcept { failures_.fetch_add(1, std::memory_order_relaxed); }

    PoolFigures figures() const noexcept;

  private:
    bool has_room(std::size_t before, std::size_t bytes) const noexcept {
        const std::size_t most = ceiling();
        return bytes <= most && before <= most - bytes;
    }
    /// A thread-local variable's address names the thread. If the thread has ended, a new one may
    /// have the address, and then counts in its place.
    static const void* this_thread() noexcept { return &magazines_at_hand; }
    bool is_own_thread() const noexcept { return this_thread() == thread_; }

    std::atomic<std::size_t> in_use_ = 0;
    std::atomic<std::size_t> peak_ = 0;
    std::atomic<std::size_t> ceiling_ = limit;

    /// The thread that made the account, and its counts; those of all other threads follow.
    const void* const thread_ = this_thread();
    Counter own_requests_;
    Counter own_asked_;
    Counter own_releases_;
    std::atomic<std::size_t> requests_ = 0;
    std::atomic<std::size_t> asked_ = 0;
    std::atomic<std::size_t> releases_ = 0;
    std::atomic<std::size_t> failures_ = 0;
};

}  // namespace numpool::threads
