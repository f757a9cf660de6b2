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

/// Unused blocks of one class at hand, the one released last on top, and what was asked of them.
///
/// The blocks themselves are not touched: their addresses lie in an array, so a block that comes
/// back stays out of the processor's cache if its user left it so, and a fresh one stays fresh.
///
/// One thread, the owner, puts blocks on top and takes them from there: through the gate where the
/// magazine is shared, at once where nobody else is at it. Others, behind the shut gate, take from
/// the bottom, where they leave nothing: no block, which is also what lies below the first place.
/// So a pop that finds no block has no count to compare; and the top is the owner's alone.
template <class Block>
class alignas(64) MagazineOf {
  public:
    /// A batch: enough to make the slow path rare, not so many that one request for a block
    /// waits long, or takes what other threads could use.
    static constexpr std::size_t most_at_once = 64;
    /// What its numbers can say.
    static constexpr std::size_t most_blocks = 65535;

    constexpr MagazineOf() noexcept = default;

    /// Puts an empty one over places, of which there is one more than it will ever hold blocks, and
    /// the first is no block; it is not written, so memory that is zero stays untouched.
    void place_on(Block* places, std::size_t capacity) noexcept {
        end_ = places + 1;
        widen(capacity);
        set_top(bottom());
    }

    /// Opened and shut by whoever shares it out.
    OwnerGate<Block>& gate() noexcept { return top_; }

    /// The owner's way: the top block, or none where the magazine is not this pool's, or its gate
    /// is shut, or there is none. `accept(block)` is called before it leaves; where that says
    /// false, the block stays.
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
    /// The same for a request of so many bytes.
    Block pop_by(const void* pool, std::size_t bytes) noexcept {
        return pop_by(pool, [&](Block) {
            asked_.add(static_cast<std::int64_t>(bytes));
            return true;
        });
    }

    /// The owner's way: false where the key opens nothing, or it is full, as one without places is.
    /// What goes on top is what `make(block)` makes of it, called where it is inside and there is
    /// room; where that says false, nothing does, and this is false, too.
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
    /// The same for a request that was for so many bytes.
    bool push_by(GateKey key, Block block, std::size_t bytes) noexcept {
        return push_by(key, [&](Block& pushed) {
            note_release(bytes);
            pushed = block;
            return true;
        });
    }

    /// Does something else behind the gate; false where the key does not open it.
    template <class Work>
    bool enter_by(GateKey key, Work work) noexcept {
        if (!top_.enter_to_raise(key)) [[unlikely]]
            return false;
        work();
        top_.leave_unraised();
        return true;
    }

    /// The top block into `block`; false where there is none. This and what follows is for those
    /// who have the magazine for themselves.
    bool pop(Block& block) noexcept {
        Block* const top = this->top();
        block = top[-1];
        if (!block) [[unlikely]]
            return false;
        top_.step_down(top);
        return true;
    }

    /// The same for a request of so many bytes.
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

    /// The same for a request that was for so many bytes.
    bool push(Block block, std::size_t bytes) noexcept {
        if (!push(block)) [[unlikely]]
            return false;
        note_release(bytes);
        return true;
    }

    /// What is released is requested no longer. The number of bytes is what a user says.
    void note_release(std::size_t bytes) noexcept {
        given_up_.add(static_cast<std::int64_t>(bytes));
    }

    /// Fills an empty one by a batch: `take(blocks, most)` says how many it gave. The lowest
    /// address comes out first.
    template <class Take>
    void refill(Take take) noexcept {
        const std::size_t taken = take(bottom(), batch());
        std::reverse(bottom(), bottom() + taken);
        set_first(bottom());
        set_top(bottom() + taken);
    }

    /// Makes room in one that is full, without passing on a block: what others took from the bottom
    /// left places. False where there are none.
    bool close_up() noexcept {
        if (first() == bottom()) return false;
        const std::size_t held = count();
        std::memmove(bottom(), first(), held * sizeof(Block));
        set_first(bottom());
        set_top(bottom() + held);
        return top() < end_;
    }

    /// Passes a batch of a full one, the oldest, to `give(blocks, count)`.
    template <class Give>
    void flush(Give give) noexcept {
        take_oldest(batch(), give);
        close_up();
    }

    void widen(std::size_t capacity) noexcept {
        end_ = bottom() + capacity;
        capacity_ = static_cast<std::uint16_t>(capacity);
    }

    /// For others, too: passes the oldest blocks to `give(blocks, count)` where it holds more than
    /// that.
    template <class Give>
    void narrow(std::size_t capacity, Give give) noexcept {
        if (count() > capacity) take_oldest(count() - capacity, give);
        widen(capacity);
    }

    /// Goes on with another's counts, of which nobody else will ask.
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

    // The two numbers lie in what the gate leaves of its last word: all is one cache line.
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
