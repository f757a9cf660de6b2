#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>

#include "base/counter.hpp"
#include "base/size_classes.hpp"
#include "pools/free_block.hpp"

namespace numpool::pools {

/// Unused blocks of one class at hand, the one released last on top, and what was asked of them.
/// One thread changes it; the counts may be read by others.
///
/// The blocks themselves are not touched: their addresses lie in an array, so a block that comes
/// back stays out of the processor's cache if its user left it so, and a fresh one stays fresh.
/// Below the first place of the array is one that holds no block: a pop that finds it has nothing
/// to compare a count with, which is one load less.
class alignas(64) Magazine {
  public:
    /// A batch: enough to make the slow path rare, not so many that one request for a block
    /// waits long, or takes what other threads could use.
    static constexpr std::size_t most_at_once = 64;

    constexpr Magazine() noexcept = default;

    /// Puts an empty one over places, of which there is one more than it will ever hold blocks, and
    /// the first is no block; it is not written, so memory that is zero stays untouched.
    void place_on(FreeBlock* places, std::size_t capacity) noexcept {
        bottom_ = places + 1;
        end_ = bottom_ + capacity;
        set_top(bottom_);
    }

    /// The top block into `block`; false where there is none.
    bool pop(FreeBlock& block) noexcept {
        FreeBlock* const top = this->top();
        block = top[-1];
        if (!block) [[unlikely]]
            return false;
        set_top(top - 1);
        requests_.add(1);
        return true;
    }

    /// The same for a request of so many bytes.
    bool pop(FreeBlock& block, std::size_t bytes) noexcept {
        if (!pop(block)) [[unlikely]]
            return false;
        asked_.add(static_cast<std::int64_t>(bytes));
        return true;
    }

    /// False where it is full.
    bool push(FreeBlock block) noexcept {
        FreeBlock* const top = this->top();
        if (top == end_) [[unlikely]]
            return false;
        *top = block;
        set_top(top + 1);
        return true;
    }

    /// The same for a request that was for so many bytes.
    bool push(FreeBlock block, std::size_t bytes) noexcept {
        if (!push(block)) [[unlikely]]
            return false;
        note_release(bytes);
        return true;
    }

    /// What is released is requested no longer. The number of bytes is what a user says.
    void note_release(std::size_t bytes) noexcept {
        given_up_.add(static_cast<std::int64_t>(bytes));
    }
    void note_miss() noexcept { misses_.add(1); }

    /// Fills an empty one by a batch: `take(blocks, most)` says how many it gave. The lowest
    /// address comes out first.
    template <class Take>
    void refill(Take take) noexcept {
        const std::size_t taken = take(bottom_, batch());
        std::reverse(bottom_, bottom_ + taken);
        set_top(bottom_ + taken);
    }

    /// Passes a batch of a full one, the oldest, to `give(blocks, count)`.
    template <class Give>
    void flush(Give give) noexcept {
        flush(batch(), give);
    }

    void widen(std::size_t capacity) noexcept { end_ = bottom_ + capacity; }

    /// Passes the oldest blocks to `give(blocks, count)` where it holds more than that.
    template <class Give>
    void narrow(std::size_t capacity, Give give) noexcept {
        if (count() > capacity) flush(count() - capacity, give);
        end_ = bottom_ + capacity;
    }

    /// Goes on with another's counts, of which nobody else will ask.
    void inherit(const Magazine& other) noexcept {
        requests_.add(other.requests());
        asked_.add(other.asked());
        given_up_.add(other.given_up_.read());
        misses_.add(other.misses());
    }

    std::size_t count() const noexcept { return static_cast<std::size_t>(top() - bottom_); }
    std::size_t capacity() const noexcept { return static_cast<std::size_t>(end_ - bottom_); }
    const FreeBlock* begin() const noexcept { return bottom_; }
    const FreeBlock* end() const noexcept { return top(); }

    std::int64_t requests() const noexcept { return requests_.read(); }
    /// Bytes of all requests, and of those whose blocks are live.
    std::int64_t asked() const noexcept { return asked_.read(); }
    std::int64_t requested() const noexcept { return asked_.read() - given_up_.read(); }
    std::int64_t misses() const noexcept { return misses_.read(); }

  private:
    template <class Give>
    void flush(std::size_t oldest, Give give) noexcept {
        give(bottom_, oldest);
        std::memmove(bottom_, bottom_ + oldest, (count() - oldest) * sizeof(FreeBlock));
        set_top(top() - oldest);
    }

    /// Half of what fits, or `most_at_once`: between a refill and a flush lie as many operations.
    std::size_t batch() const noexcept { return std::min((capacity() + 1) / 2, most_at_once); }
    FreeBlock* top() const noexcept { return top_.load(std::memory_order_relaxed); }
    void set_top(FreeBlock* top) noexcept { top_.store(top, std::memory_order_relaxed); }

    std::atomic<FreeBlock*> top_ = nullptr;
    FreeBlock* end_ = nullptr;
    Counter requests_;
    Counter asked_;
    Counter given_up_;
    FreeBlock* bottom_ = nullptr;
    Counter misses_;
};
static_assert(sizeof(Magazine) == SizeClasses::offset_step);

}  // namespace numpool::pools
