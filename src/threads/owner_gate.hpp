#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>

#include "threads/heavy_barrier.hpp"

namespace numpool::threads {

/// Lets one thread, the owner, into something for the price of two plain stores, and another
/// thread, now and then, keep it out for the price of stopping every thread for a moment.
///
/// It is Dekker's algorithm with the owner's barrier moved to the other side. The owner says that
/// it is inside, then looks whether the gate is shut; who shuts it says so, then looks whether the
/// owner is inside. A processor may let the owner's look overtake its word, so that both would
/// miss each other: an ordinary lock pays a locked instruction for that, several times what a
/// block costs. Here who shuts makes every thread run a barrier between its word and its look
/// (`heavy_barrier`): an owner whose look came before it has spoken before it, too, and is seen;
/// one whose look comes after it finds the gate shut.
///
/// The gate opens for a key, so that one comparison tells whether it is open and whether what lies
/// behind it is what the owner came for. 0 is nobody's key: it is what a shut gate has instead.
class OwnerGate {
  public:
    /// For an owner who is to find every gate shut: no gate is ever opened for it.
    static constexpr std::uint64_t opens_nothing = ~std::uint64_t{0};

    constexpr OwnerGate() noexcept = default;

    /// The owner's. True: it is inside, and leaves soon; it never waits.
    bool enter(std::uint64_t key) noexcept {
        inside_.store(true, std::memory_order_relaxed);
        // Here the compiler, for its part, must keep the order.
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if (key_.load(std::memory_order_acquire) == key) [[likely]]
            return true;
        inside_.store(false, std::memory_order_relaxed);
        return false;
    }
    void leave() noexcept { inside_.store(false, std::memory_order_release); }

    /// For others, one at a time: they hold a lock. First `shut` as many gates as needed, then one
    /// `heavy_barrier`, then `wait_outside` for each. What the owner did inside has happened then.
    void shut() noexcept { key_.store(0, std::memory_order_relaxed); }
    void wait_outside() const noexcept {
        while (inside_.load(std::memory_order_acquire)) sched_yield();
    }
    /// What was done behind the shut gate has happened for an owner that enters.
    void open(std::uint64_t key) noexcept { key_.store(key, std::memory_order_release); }

  private:
    std::atomic<std::uint64_t> key_ = 0;
    std::atomic<bool> inside_ = false;
};

}  // namespace numpool::threads
