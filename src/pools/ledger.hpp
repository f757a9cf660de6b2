#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace numpool::pools {

/// Which of a chunk's blocks are live: a byte each, so that whoever has a block marks it without a
/// lock and without a locked instruction, while other threads mark theirs. Nobody but the one who
/// has the block may.
///
/// Neighbours' bytes lie in different cache lines: two threads with a block each, as like as not
/// neighbours, would otherwise take the line from each other with every operation. 64 lines of 64
/// bytes take 4096 blocks in turns.
class Ledger {
  public:
    Ledger() noexcept = default;

    /// All unused. Memory for blocks never used is never touched: calloc takes much of it from the
    /// operating system. Throws std::bad_alloc.
    explicit Ledger(std::size_t blocks)
        : live_{static_cast<Mark*>(std::calloc((blocks + turn - 1) / turn, turn))} {
        if (live_ == nullptr) throw std::bad_alloc{};
    }

    bool is_live(std::size_t block) const noexcept {
        return live_[place_of(block)].load(std::memory_order_relaxed);
    }

    /// Enters a block as live. False, and nothing has changed, where it is live already.
    bool enter(std::size_t block) noexcept { return change(block, true); }

    /// Strikes a block out. False, and nothing has changed, where it is not live.
    bool strike(std::size_t block) noexcept { return change(block, false); }

  private:
    using Mark = std::atomic<bool>;
    static_assert(sizeof(Mark) == 1 && Mark::is_always_lock_free);

    static constexpr std::size_t turn = 64 * 64;

    struct Free {
        void operator()(Mark* marks) const noexcept { std::free(static_cast<void*>(marks)); }
    };

    static constexpr std::size_t place_of(std::size_t block) noexcept {
        return (block & ~(turn - 1)) | (block % 64) << 6 | (block / 64) % 64;
    }
    bool change(std::size_t block, bool live) noexcept {
        Mark& mark = live_[place_of(block)];
        if (mark.load(std::memory_order_relaxed) == live) [[unlikely]]
            return false;
        mark.store(live, std::memory_order_relaxed);
        return true;
    }

    std::unique_ptr<Mark[], Free> live_;
};

}  // namespace numpool::pools
