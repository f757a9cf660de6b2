#pragma once

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstring>

#include "base/gate/counter.hpp"
#include "base/gate/owner_gate.hpp"
#include "pools/magazine/free_block.hpp"

namespace numpool::pools {

/// Unused blocks of one class at hand, the last released one on top, and counts of requests.
///
/// The blocks themselves are not touched: their addresses lie in an array. So a block that comes
/// back stays out of the processor's cache if its user left it so, and a fresh one stays fresh.
///
/// One thread, the owner, pushes and pops blocks at the top: through the gate where the magazine is
/// shared. Other threads, while the gate is shut, take blocks from the bottom and leave "no block"
/// in each place. The place below the first one holds "no block", too: so a pop that finds none has
/// no count to compare, and only the owner moves the top.
template <class Block>
class alignas(64) MagazineOf {
  public:
    /// A batch: enough to make the slow path rare; few enough that a request does not wait long,
    /// nor takes what other threads could use.
    static constexpr std::size_t most_at_once = 64;
    /// What its 16-bit numbers can count.
    static constexpr std::size_t most_blocks = 65535;

    constexpr MagazineOf() noexcept = default;

    /// Lays an empty magazine over `places`: one more than the blocks that it will ever hold, and
    /// the first one is "no block". Nothing is written, so memory that is zero stays untouched.
    void place_on(Block* places, std::size_t capacity) noexcept {
        end_ = places + 1;
        widen(capacity);
        set_top(bottom());
    }

    /// For the code that shares the magazine among threads: it opens and shuts the gate.
    OwnerGate<Block>& gate() noexcept { return top_; }

    /// For the owner: the top block; none where the magazine is not this pool's, its gate is shut,
    /// or it is empty. `accept(block)` is called before the block leaves; if that returns false,
    /// the block stays.
    template <std::invocable<Block> Accept>
    Block pop_by(const void* pool, Accept accept) noexcept {
        if (!top_.enter_to_lower(pool)) [[unlikely]]
            return {};
        Block* const top = this->top();
        const Block block = top[-1];
        if (!block || !accept(block)) [[unlikely]] {
            top_.leave_unlowered();
            return {};
        }
        top_.lower(top);
        return block;
    }
    /// For a request of so many bytes, which it counts.
    Block pop_by(const void* pool, std::size_t bytes) noexcept {
        return pop_by(pool, [&](Block) {
            asked_.add(static_cast<std::int64_t>(bytes));
            return true;
        });
    }

    /// For the owner: false where the key does not open the gate, or the magazine is full, as one
    /// without places always is. `make(block)` is called inside, where there is room, and sets the
    /// block to push; if it returns false, nothing is pushed and this is false, too.
    template <std::invocable<Block&> Make>
    bool push_by(GateKey key, Make make) noexcept {
        if (!top_.enter_to_raise(key)) [[unlikely]]
            return false;
        Block* const top = this->top();
        Block block;
        if (top >= end_ || !make(block)) [[unlikely]] {
            top_.leave_unraised();
            return false;
        }
        *top = block;
        top_.raise(top);
        return true;
    }
    /// For a block of a request that was for so many bytes.
    bool push_by(GateKey key, Block block, std::size_t bytes) noexcept {
        return push_by(key, [&](Block& pushed) {
            note_release(bytes);
            pushed = block;
            return true;
        });
    }

    /// Calls `work` behind the gate; false where the key does not open it.
    template <class Work>
    bool enter_by(GateKey key, Work work) noexcept {
        if (!top_.enter_to_raise(key)) [[unlikely]]
            return false;
        work();
        top_.leave_unraised();
        return true;
    }

    /// Pops the top block into `block`; false where there is none. From here on the functions are
    /// for a caller that no other thread can disturb.
    bool pop(Block& block) noexcept {
        Block* const top = this->top();
        block = top[-1];
        if (!block) [[unlikely]]
            return false;
        top_.step_down(top);
        return true;
    }

    /// For a request of so many bytes, which it counts.
    bool pop(Block& block, std::size_t bytes) noexcept {
        if (!pop(block)) [[unlikely]]
            return false;
        asked_.add(static_cast<std::int64_t>(bytes));
        return true;
    }

    /// False where it is full.
    bool push(Block block) noexcept {
        Block* const top = this->top();
        if (top >= end_) [[unlikely]]
            return false;
        *top = block;
        top_.step_up(top);
        return true;
    }

    /// For a block of a request that was for so many bytes.
    bool push(Block block, std::size_t bytes) noexcept {
        if (!push(block)) [[unlikely]]
            return false;
        note_release(bytes);
        return true;
    }

    /// What is released is no longer requested. The number of bytes is what the user says.
    void note_release(std::size_t bytes) noexcept {
        given_up_.add(static_cast<std::int64_t>(bytes));
    }

    /// Fills an empty magazine with a batch: `take(blocks, most)` returns how many it gave. The
    /// first of them is popped first.
    template <class Take>
    void refill(Take take) noexcept {
        const std::size_t taken = take(bottom(), batch());
        std::reverse(bottom(), bottom() + taken);
        set_first(bottom());
        set_top(bottom() + taken);
    }

    /// Makes room in a full magazine without passing a block on: other threads that took blocks
    /// from the bottom left places there. False where there are none.
    bool close_up() noexcept {
        if (first() == bottom()) return false;
        const std::size_t held = count();
        std::memmove(bottom(), first(), held * sizeof(Block));
        set_first(bottom());
        set_top(bottom() + held);
        return top() < end_;
    }

    /// Passes the oldest batch of a full magazine to `give(blocks, count)`.
    template <class Give>
    void flush(Give give) noexcept {
        take_oldest(batch(), give);
        close_up();
    }

    void widen(std::size_t capacity) noexcept {
        end_ = bottom() + capacity;
        capacity_ = static_cast<std::uint16_t>(capacity);
    }

    /// For other threads, too: passes the oldest blocks to `give(blocks, count)` where it holds
    /// more than `capacity`.
    template <class Give>
    void narrow(std::size_t capacity, Give give) noexcept {
        if (count() > capacity) take_oldest(count() - capacity, give);
        widen(capacity);
    }

    /// Adds the counts of another magazine, which is about to go.
    void inherit(const MagazineOf& other) noexcept {
        top_.inherit(other.top_);
        asked_.add(other.asked());
        given_up_.add(other.given_up_.read());
    }

    /// For any thread: what was true a moment ago.
    std::size_t count() const noexcept { return static_cast<std::size_t>(top() - first()); }
    std::size_t capacity() const noexcept { return capacity_; }
    const Block* begin() const noexcept { return first(); }
    const Block* end() const noexcept { return top(); }

    std::int64_t requests() const noexcept { return top_.lowered(); }
    /// Bytes of all requests, and of those whose blocks are live.
    std::int64_t asked() const noexcept { return asked_.read(); }
    std::int64_t requested() const noexcept { return asked_.read() - given_up_.read(); }

  private:
    template <class Give>
    void take_oldest(std::size_t oldest, Give give) noexcept {
        Block* const taken = first();
        give(taken, oldest);
        std::fill_n(taken, oldest, Block{});
        set_first(taken + oldest);
    }

    /// Half of what fits, or `most_at_once`: between a refill and a flush lie as many operations.
    std::size_t batch() const noexcept {
        return std::min<std::size_t>((capacity_ + 1) / 2, most_at_once);
    }
    Block* top() const noexcept { return top_.pointer(); }
    void set_top(Block* top) noexcept { top_.place(top); }
    Block* bottom() const noexcept { return end_ - capacity_; }
    /// The oldest block's place, or the top.
    Block* first() const noexcept { return bottom() + first_.load(std::memory_order_relaxed); }
    void set_first(Block* first) noexcept {
        first_.store(static_cast<std::uint16_t>(first - bottom()), std::memory_order_relaxed);
    }

    // The two numbers lie in the gate's padding: all of it is one cache line.
    [[no_unique_address]] OwnerGate<Block> top_;
    std::uint16_t capacity_ = 0;
    std::atomic<std::uint16_t> first_ = 0;
    Block* end_ = nullptr;
    Counter asked_;
    Counter given_up_;
};

using Magazine = MagazineOf<FreeBlock>;
static_assert(sizeof(Magazine) == 64);

}  // namespace numpool::pools
