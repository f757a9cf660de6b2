#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "base/size.hpp"

namespace numpool::pools {

/// Which of a chunk's blocks are live: a byte each, so that whoever has a block marks it without a
/// lock and without a locked instruction, while other threads mark theirs. Nobody but the one who
/// has the block may.
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
        live_ = reinterpret_cast<Mark*>(round_up(start + line, line));
    }

    bool is_live(std::size_t block) const noexcept {
        return live_[place_of(block)].load(std::memory_order_relaxed);
    }

    /// Enters a block as live. False, and nothing has changed, where it is live already.
    bool enter(std::size_t block) const noexcept { return change(block, true); }

    /// Strikes a block out. False, and nothing has changed, where it is not live.
    bool strike(std::size_t block) const noexcept { return change(block, false); }

  private:
    using Mark = std::atomic<bool>;
    static_assert(sizeof(Mark) == 1 && Mark::is_always_lock_free);

    static constexpr std::size_t line = 64;
    static constexpr std::size_t shuffled = 64 * line;

    struct Free {
        void operator()(void* memory) const noexcept { std::free(memory); }
    };

    static constexpr std::size_t place_of(std::size_t block) noexcept {
        return block ^ (block % 64) << 6;
    }
    bool change(std::size_t block, bool live) const noexcept {
        Mark& mark = live_[place_of(block)];
        if (mark.load(std::memory_order_relaxed) == live) [[unlikely]]
            return false;
        mark.store(live, std::memory_order_relaxed);
        return true;
    }

    std::unique_ptr<void, Free> memory_;
    Mark* live_ = nullptr;
};

}  // namespace numpool::pools
