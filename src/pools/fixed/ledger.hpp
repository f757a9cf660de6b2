#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "base/size.hpp"

namespace numpool::pools {

/// Which of a chunk's blocks are live. Each block has an entry of one byte, so a thread changes its
/// block's entry without a lock and without a locked instruction, while other threads change
/// theirs.
///
/// The entries of neighbours lie in different cache lines. Two threads often have neighbouring
/// blocks, and would otherwise take the line from each other at each operation. In each group of
/// 4096 blocks, bits 0 to 5 of the block's number are XORed into bits 6 to 11.
class Ledger {
  public:
    Ledger() noexcept = default;

    /// All blocks are unused. The entries of blocks that are never used are never touched: calloc
    /// maps large memory from the operating system. Throws std::bad_alloc.
    explicit Ledger(std::size_t blocks)
        : memory_{std::calloc(round_up(blocks, shuffled) + 2 * line, 1)} {
        if (memory_ == nullptr) throw std::bad_alloc{};
        // At least one cache line away from other memory of the heap.
        const auto start = reinterpret_cast<std::uintptr_t>(memory_.get());
        entries_.first_ = reinterpret_cast<Entry*>(round_up(start + line, line));
    }

    /// One block's byte: 0 if it is unused, 0xff if it is live. Only the thread that has the block
    /// may change it.
    ///
    /// Subtracting 1 carries only from 0, and adding 1 only from 0xff. So one instruction changes
    /// the byte and tells whether it had the expected value. If it had not, the byte is restored.
    class Entry {
      public:
        bool is_live() const noexcept { return value_.load(std::memory_order_relaxed) == live; }

        /// The block becomes live. False, and nothing has changed, if it is live already.
        bool record_acquire() noexcept {
            if (count_down()) [[likely]]
                return true;
            value_.store(live, std::memory_order_relaxed);
            return false;
        }
        /// The block becomes unused. False, and nothing has changed, if it is not live.
        bool record_release() noexcept {
            if (count_up()) [[likely]]
                return true;
            value_.store(0, std::memory_order_relaxed);
            return false;
        }

      private:
        static constexpr std::uint8_t live = 0xff;

        /// These return whether the byte carried.
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

    /// The entries of all blocks of a chunk, by their numbers.
    class Entries {
      public:
        Entry& operator[](std::size_t block) const noexcept {
            return first_[block ^ (block % 64) << 6];
        }

      private:
        friend class Ledger;
        Entry* first_ = nullptr;
    };
    Entries entries() const noexcept { return entries_; }

  private:
    static_assert(sizeof(Entry) == 1 && std::atomic<std::uint8_t>::is_always_lock_free);

    static constexpr std::size_t line = 64;
    static constexpr std::size_t shuffled = 64 * line;

    struct Free {
        void operator()(void* memory) const noexcept { std::free(memory); }
    };

    std::unique_ptr<void, Free> memory_;
    Entries entries_;
};

/// An unused block of a pool with a ledger, in a magazine or in a batch, and its entry, which need
/// not be searched again.
struct RecordedBlock {
    std::byte* start = nullptr;
    Ledger::Entry* entry = nullptr;

    explicit operator bool() const noexcept { return start != nullptr; }
};

}  // namespace numpool::pools
