#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "base/size.hpp"

namespace numpool::pools {

/// Which of a chunk's blocks are live: a byte each, so that a thread marks its block without a lock
/// and without a locked instruction, while other threads mark theirs.
///
/// Neighbours' bytes lie in different cache lines: two threads with a block each, as like as not
/// neighbours, would otherwise take the line from each other with every operation. Within each
/// 4096 the number of the byte's line is that of the block modulo 64, combined with its quotient.
class Ledger {
  public:
    Ledger() noexcept = default;

    /// All unused. Memory for blocks never used is never touched: calloc takes much of it from the
    /// operating system. Throws std::bad_alloc.
    explicit Ledger(std::size_t blocks)
        : memory_{std::calloc(round_up(blocks, shuffled) + 2 * line, 1)} {
        if (memory_ == nullptr) throw std::bad_alloc{};
        // A whole line away from whatever else is on the heap.
        const auto start = reinterpret_cast<std::uintptr_t>(memory_.get());
        marks_.first_ = reinterpret_cast<Mark*>(round_up(start + line, line));
    }

    /// One block's byte: 0 where it is unused, all ones where it is live. Only the thread that has
    /// the block may change it.
    ///
    /// Counting down from 0, or up from all ones, carries, and from nowhere else: one instruction
    /// changes a mark and tells whether it was the right one. One that was not is put back.
    class Mark {
      public:
        bool is_live() const noexcept { return value_.load(std::memory_order_relaxed) == live; }

        /// Enters the block as live. False, and nothing has changed, where it is live already.
        bool enter() noexcept {
            if (count_down()) [[likely]]
                return true;
            value_.store(live, std::memory_order_relaxed);
            return false;
        }
        /// Strikes the block out. False, and nothing has changed, where it is not live.
        bool strike() noexcept {
            if (count_up()) [[likely]]
                return true;
            value_.store(0, std::memory_order_relaxed);
            return false;
        }

      private:
        static constexpr std::uint8_t live = 0xff;

        /// These say whether it carried.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
        bool count_down() noexcept {
            bool carried;
            asm("subb $1, %0" : "+m"(value_), "=@ccc"(carried));
            return carried;
        }
        bool count_up() noexcept {
            bool carried;
            asm("addb $1, %0" : "+m"(value_), "=@ccc"(carried));
            return carried;
        }
#else
        bool count_down() noexcept {
            const std::uint8_t value = value_.load(std::memory_order_relaxed);
            value_.store(static_cast<std::uint8_t>(value - 1), std::memory_order_relaxed);
            return value == 0;
        }
        bool count_up() noexcept {
            const std::uint8_t value = value_.load(std::memory_order_relaxed);
            value_.store(static_cast<std::uint8_t>(value + 1), std::memory_order_relaxed);
            return value == live;
        }
#endif

        std::atomic<std::uint8_t> value_;
    };

    /// All of them, by the blocks' numbers.
    class Marks {
      public:
        Mark& operator[](std::size_t block) const noexcept {
            return first_[block ^ (block % 64) << 6];
        }

      private:
        friend class Ledger;
        Mark* first_ = nullptr;
    };
    Marks marks() const noexcept { return marks_; }

  private:
    static_assert(sizeof(Mark) == 1 && std::atomic<std::uint8_t>::is_always_lock_free);

    static constexpr std::size_t line = 64;
    static constexpr std::size_t shuffled = 64 * line;

    struct Free {
        void operator()(void* memory) const noexcept { std::free(memory); }
    };

    std::unique_ptr<void, Free> memory_;
    Marks marks_;
};

/// An unused block of a pool with a ledger, on its way to a user or back, with its mark: nobody
/// has to look for that again.
struct RecordedBlock {
    std::byte* start = nullptr;
    Ledger::Mark* mark = nullptr;

    explicit operator bool() const noexcept { return start != nullptr; }
};

}  // namespace numpool::pools
