#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "base/counter.hpp"
#include "base/size_classes.hpp"
#include "pools/free_block.hpp"

namespace numpool::pools {

/// Unused blocks of one class at hand, the one released last on top, and what was asked of them.
/// One thread changes it; the counts may be read by others.
///
/// The blocks themselves are not touched: their addresses lie in an array, so a block that comes
/// back stays out of the processor's cache if its user left it so, and a fresh one stays fresh.
class Magazine {
  public:
    /// A refill's size: enough to make the slow path rare, not so many that one request for a block
    /// waits long, or takes what other threads could use.
    static constexpr std::size_t most_at_once = 64;

    /// The top block into `block`; false where there is none.
    bool pop(FreeBlock& block, std::size_t bytes) noexcept {
        const std::uint32_t count = count_.load(std::memory_order_relaxed);
        if (count == 0) [[unlikely]]
            return false;
        block = blocks_[count - 1];
        count_.store(count - 1, std::memory_order_relaxed);
        note_request(bytes);
        return true;
    }

    /// False where it is full.
    bool push(FreeBlock block, std::size_t bytes) noexcept {
        const std::uint32_t count = count_.load(std::memory_order_relaxed);
        if (count == capacity_) [[unlikely]]
            return false;
        blocks_[count] = block;
        count_.store(count + 1, std::memory_order_relaxed);
        note_release(bytes);
        return true;
    }

    /// What is released is requested no longer. The number of bytes is what a user says.
    void note_request(std::size_t bytes) noexcept {
        requests_.add(1);
        requested_.add(static_cast<std::int64_t>(bytes));
    }
    void note_release(std::size_t bytes) noexcept {
        requested_.add(-static_cast<std::int64_t>(bytes));
    }
    void note_miss() noexcept { misses_.add(1); }

    /// Fills an empty one by a batch: `take(blocks, most)` says how many it gave. The lowest
    /// address comes out first.
    template <class Take>
    void refill(Take take) noexcept {
        const std::size_t taken = take(blocks_, std::min<std::size_t>(half(), most_at_once));
        std::reverse(blocks_, blocks_ + taken);
        count_.store(static_cast<std::uint32_t>(taken), std::memory_order_relaxed);
    }

    /// Passes the older half of a full one to `give(blocks, count)`.
    template <class Give>
    void flush(Give give) noexcept {
        const std::size_t count = count_.load(std::memory_order_relaxed);
        const std::size_t older = std::min<std::size_t>(half(), count);
        give(blocks_, older);
        std::memmove(blocks_, blocks_ + older, (count - older) * sizeof(FreeBlock));
        count_.store(static_cast<std::uint32_t>(count - older), std::memory_order_relaxed);
    }

    /// Passes all blocks to `give(blocks, count)`.
    template <class Give>
    void empty(Give give) noexcept {
        const std::uint32_t count = count_.load(std::memory_order_relaxed);
        if (count != 0) give(blocks_, std::size_t{count});
        count_.store(0, std::memory_order_relaxed);
    }

    std::size_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
    std::size_t capacity() const noexcept { return capacity_; }
    const FreeBlock* begin() const noexcept { return blocks_; }
    const FreeBlock* end() const noexcept { return blocks_ + count(); }

    std::int64_t requests() const noexcept { return requests_.read(); }
    std::int64_t requested() const noexcept { return requested_.read(); }
    std::int64_t misses() const noexcept { return misses_.read(); }

  private:
    friend class Magazines;
    std::size_t half() const noexcept { return (capacity_ + 1) / 2; }

    FreeBlock* blocks_ = nullptr;
    std::atomic<std::uint32_t> count_ = 0;
    std::uint32_t capacity_ = 0;
    Counter requests_;
    Counter requested_;
    Counter misses_;
};

/// A magazine for each class, bounded in blocks and in bytes.
class Magazines {
  public:
    static constexpr std::size_t most_blocks = 1024;
    static constexpr std::size_t most_bytes = std::size_t{256} << 10;

    /// Throws std::bad_alloc.
    explicit Magazines(const SizeClasses& classes)
        : magazines_{new Magazine[classes.count()]}, count_{classes.count()} {
        std::size_t total = 0;
        for (std::size_t i = 0; i < count_; ++i) total += capacity_for(classes.size(i));
        blocks_.reset(new FreeBlock[total]);
        FreeBlock* next = blocks_.get();
        for (std::size_t i = 0; i < count_; ++i) {
            magazines_[i].blocks_ = next;
            magazines_[i].capacity_ = static_cast<std::uint32_t>(capacity_for(classes.size(i)));
            next += magazines_[i].capacity_;
        }
    }

    Magazine& operator[](std::size_t number) noexcept { return magazines_[number]; }
    const Magazine& operator[](std::size_t number) const noexcept { return magazines_[number]; }
    std::size_t size() const noexcept { return count_; }

    static constexpr std::size_t capacity_for(std::size_t block_size) noexcept {
        return std::clamp<std::size_t>(most_bytes / block_size, 2, most_blocks);
    }

  private:
    std::unique_ptr<Magazine[]> magazines_;
    std::unique_ptr<FreeBlock[]> blocks_;
    std::size_t count_;
};

}  // namespace numpool::pools
