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

/// A stack of unused blocks of one class, the block released last on top, and counts of requests.
///
/// The blocks' addresses lie in an array, and the blocks themselves are not touched. So a release
/// does not bring a block into the processor's cache, and a fresh block stays fresh.
///
/// One thread, the owner, pushes and pops blocks at the top, through the gate if the magazine is
/// shared. Other threads remove blocks from the bottom while the gate is shut, and leave "no block"
/// in each place. The place below the first one also holds "no block". So a pop finds "no block" in
/// an empty magazine without comparing a count, and only the owner moves the top.
template <class Block>
class alignas(64) MagazineOf {
  public:
    /// The most blocks of a batch. Large batches make the slow path rare; small ones keep it short
    /// and leave blocks to other threads.
    static constexpr std::size_t most_at_once = 64;
    /// The limit of its 16-bit counts.
    static constexpr std::size_t most_blocks = 65535;

    constexpr MagazineOf() noexcept = default;

    /// Sets up an empty magazine on an array `places`, which has one place more than the magazine
    /// will ever need; the first one must be "no block". Nothing is written to the array, so memory
    /// from calloc stays untouched.
    void place_on(Block* places, std::size_t capacity) noexcept {
        end_ = places + 1;
        widen(capacity);
        set_top(bottom());
    }

    /// For the code that shares the magazine with other threads: it opens and shuts the gate.
    OwnerGate<Block>& gate() noexcept { return top_; }

    /// For the owner: pops the top block. None if the magazine is another pool's, its gate is shut,
    /// or it is empty. `accept(block)` is called before the block leaves; if it returns false, the
    /// block stays.
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
    /// Also counts a request for `bytes`.
    Block pop_by(const void* pool, std::size_t bytes) noexcept {
        return pop_by(pool, [&](Block) {
            asked_.add(static_cast<std::int64_t>(bytes));
            return true;
        });
    }

    /// For the owner: pushes a block. False if the key does not open the gate, or the magazine is
    /// full or has no places. `make(block)` is called inside the gate if there is room, and sets
    /// the block to push; if it returns false, nothing is pushed and this is false, too.
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
    /// Also counts the release of a request for `bytes`.
    bool push_by(GateKey key, Block block, std::size_t bytes) noexcept {
        return push_by(key, [&](Block& pushed) {
            note_release(bytes);
            pushed = block;
            return true;
        });
    }

    /// Calls `work` inside the gate. False if the key does not open it.
    template <class Work>
    bool enter_by(GateKey key, Work work) noexcept {
        if (!top_.enter_to_raise(key)) [[unlikely]]
            return false;
        work();
        top_.leave_unraised();
        return true;
    }

    /// Pops the top block into `block`; false if there is none. From here on, the caller must hold
    /// the pool's lock or be the only thread that uses the magazine.
    bool pop(Block& block) noexcept {
        Block* const top = this->top();
        block = top[-1];
        if (!block) [[unlikely]]
            return false;
        top_.step_down(top);
        return true;
    }

    /// Also counts a request for `bytes`.
    bool pop(Block& block, std::size_t bytes) noexcept {
        if (!pop(block)) [[unlikely]]
            return false;
        asked_.add(static_cast<std::int64_t>(bytes));
        return true;
    }

    /// False if the magazine is full.
    bool push(Block block) noexcept {
        Block* const top = this->top();
        if (top >= end_) [[unlikely]]
            return false;
        *top = block;
        top_.step_up(top);
        return true;
    }

    /// Also counts the release of a request for `bytes`.
    bool push(Block block, std::size_t bytes) noexcept {
        if (!push(block)) [[unlikely]]
            return false;
        note_release(bytes);
        return true;
    }

    /// Counts the release of a request for `bytes`, as the caller tells it.
    void note_release(std::size_t bytes) noexcept {
        released_.add(static_cast<std::int64_t>(bytes));
    }

    /// Refills an empty magazine with a batch. `acquire(blocks, most)` writes up to `most` blocks
    /// and returns their number. The first of them is popped first.
    template <class Acquire>
    void refill(Acquire acquire) noexcept {
        const std::size_t acquired = acquire(bottom(), batch());
        std::reverse(bottom(), bottom() + acquired);
        set_first(bottom());
        set_top(bottom() + acquired);
    }

    /// Makes room in a full magazine by moving its blocks down, into the places that other threads
    /// emptied at the bottom. False if there are none.
    bool close_up() noexcept {
        if (first() == bottom()) return false;
        const std::size_t held = count();
        std::memmove(bottom(), first(), held * sizeof(Block));
        set_first(bottom());
        set_top(bottom() + held);
        return top() < end_;
    }

    /// Removes the oldest batch of a full magazine; `release(blocks, count)` gets it.
    template <class Release>
    void flush(Release release) noexcept {
        remove_oldest(batch(), release);
        close_up();
    }

    void widen(std::size_t capacity) noexcept {
        end_ = bottom() + capacity;
        capacity_ = static_cast<std::uint16_t>(capacity);
    }

    /// Makes the capacity smaller. `release(blocks, count)` gets the oldest blocks if they do not
    /// fit any more. Other threads may call this while the gate is shut.
    template <class Release>
    void narrow(std::size_t capacity, Release release) noexcept {
        if (count() > capacity) remove_oldest(count() - capacity, release);
        widen(capacity);
    }

    /// Adds the counts of another magazine, which is about to end.
    void inherit(const MagazineOf& other) noexcept {
        top_.inherit(other.top_);
        asked_.add(other.asked());
        released_.add(other.released_.read());
    }

    /// For any thread. The results may be out of date when they return.
    std::size_t count() const noexcept { return static_cast<std::size_t>(top() - first()); }
    std::size_t capacity() const noexcept { return capacity_; }
    const Block* begin() const noexcept { return first(); }
    const Block* end() const noexcept { return top(); }

    std::int64_t requests() const noexcept { return top_.lowered(); }
    /// The bytes of all requests so far, and of those whose blocks are live.
    std::int64_t asked() const noexcept { return asked_.read(); }
    std::int64_t requested() const noexcept { return asked_.read() - released_.read(); }

  private:
    template <class Release>
    void remove_oldest(std::size_t oldest, Release release) noexcept {
        Block* const removed = first();
        release(removed, oldest);
        std::fill_n(removed, oldest, Block{});
        set_first(removed + oldest);
    }

    /// Half of the capacity, at most `most_at_once`. So after a refill, and after a flush, there is
    /// room for as many pushes as pops.
    std::size_t batch() const noexcept {
        return std::min<std::size_t>((capacity_ + 1) / 2, most_at_once);
    }
    Block* top() const noexcept { return top_.pointer(); }
    void set_top(Block* top) noexcept { top_.place(top); }
    Block* bottom() const noexcept { return end_ - capacity_; }
    /// The place of the oldest block; the top if there is no block.
    Block* first() const noexcept { return bottom() + first_.load(std::memory_order_relaxed); }
    void set_first(Block* first) noexcept {
        first_.store(static_cast<std::uint16_t>(first - bottom()), std::memory_order_relaxed);
    }

    // The two 16-bit fields lie in the gate's padding, so a magazine is one cache line.
    [[no_unique_address]] OwnerGate<Block> top_;
    std::uint16_t capacity_ = 0;
    std::atomic<std::uint16_t> first_ = 0;
    Block* end_ = nullptr;
    Counter asked_;
    Counter released_;
};

using Magazine = MagazineOf<FreeBlock>;
static_assert(sizeof(Magazine) == 64);

}  // namespace numpool::pools
