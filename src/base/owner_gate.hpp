#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>

namespace numpool {

/// What opens a gate.
using GateKey = std::uint32_t;
/// What a shut gate has instead: nobody's key.
inline constexpr GateKey shut_gate = 1;
/// For who is to find every gate shut: none is ever opened for it.
inline constexpr GateKey opens_nothing = ~GateKey{0};

/// A pointer that one thread, the owner, moves, and a gate before what belongs to it: the owner
/// passes for the price of one plain store, and another thread, now and then, can keep it out for
/// the price of stopping every thread for a moment.
///
/// It is Dekker's algorithm with the owner's barrier moved to the other side. The owner says that
/// it is inside, then looks whether the gate is shut; who shuts it says so, then looks whether the
/// owner is inside. A processor may let the owner's look overtake its word, so that both would
/// miss each other: an ordinary lock pays a locked instruction for that, several times what a
/// block costs. Here who shuts makes every thread run a barrier between its word and its look
/// (`heavy_barrier`): an owner whose look came before it has spoken before it, too, and is seen;
/// one whose look comes after it finds the gate shut.
///
/// That the owner is inside stands in a bit of the pointer that no address uses, and the pointer's
/// next value is the last that it stores: one store both moves the pointer and leaves.
/// Others never move it. So the owner may read it before it asks the gate, and what it read is
/// right: a read behind the gate would wait until the word before it has reached the cache.
///
/// The gate opens for a key, so that one comparison tells whether it is open and whether what lies
/// behind it is what the owner came for. 0 opens those gates only that were never opened or shut.
template <class T>
class OwnerGate {
  public:
    constexpr OwnerGate() noexcept = default;

    /// The owner's. True: it has the pointer, is inside, and leaves soon. False: the key does not
    /// open the gate. It never waits.
    bool enter(GateKey key, T*& pointer) noexcept {
        const std::uintptr_t word = word_.load(std::memory_order_relaxed);
        pointer = reinterpret_cast<T*>(word);
        note_inside(word);
        // Here the compiler, for its part, must keep the order.
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if (key_.load(std::memory_order_acquire) == key) [[likely]]
            return true;
        word_.store(word, std::memory_order_release);
        return false;
    }
    void leave(T* pointer) noexcept {
        word_.store(reinterpret_cast<std::uintptr_t>(pointer), std::memory_order_release);
    }

    /// For any thread.
    T* pointer() const noexcept {
        return reinterpret_cast<T*>(word_.load(std::memory_order_relaxed) & ~inside);
    }
    /// For the owner, outside, where others can't be at it meanwhile: they hold a lock that it
    /// holds.
    T* own_pointer() const noexcept {
        return reinterpret_cast<T*>(word_.load(std::memory_order_relaxed));
    }
    void set_pointer(T* pointer) noexcept {
        word_.store(reinterpret_cast<std::uintptr_t>(pointer), std::memory_order_relaxed);
    }

    /// For others, one at a time: they hold a lock. First `shut` as many gates as needed, then one
    /// `heavy_barrier`, then `wait_outside` for each. What the owner did inside has happened then.
    void shut() noexcept { key_.store(shut_gate, std::memory_order_relaxed); }
    void wait_outside() const noexcept {
        while ((word_.load(std::memory_order_acquire) & inside) != 0) sched_yield();
    }
    /// What was done behind the shut gate has happened for an owner that enters.
    void open(GateKey key) noexcept { key_.store(key, std::memory_order_release); }

  private:
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
    // The highest byte, which can be stored by itself, without the pointer and without a register.
    static constexpr std::uintptr_t inside = std::uintptr_t{1} << 56;

    void note_inside(std::uintptr_t) noexcept {
        asm volatile("movb $1, %0" : "=m"(reinterpret_cast<unsigned char*>(&word_)[7]));
    }
#else
    // The lowest bit: elsewhere addresses may bear tags in their highest byte.
    static_assert(alignof(T) > 1);
    static constexpr std::uintptr_t inside = 1;

    void note_inside(std::uintptr_t word) noexcept {
        word_.store(word | inside, std::memory_order_relaxed);
    }
#endif

    std::atomic<std::uintptr_t> word_ = 0;
    std::atomic<GateKey> key_ = 0;
};

}  // namespace numpool
