#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>

#include "base/gate/counter.hpp"

namespace numpool {

/// What opens a gate for who comes to raise: a number, or an address.
using GateKey = std::uint64_t;
/// What a shut gate has instead: nobody's key.
inline constexpr GateKey shut_gate = 1;

/// A pointer that one thread, the owner, raises and lowers step by step, and a gate before what
/// belongs to it: the owner passes without a locked instruction, and another thread, now and then,
/// can keep it out for the price of stopping every thread for a moment.
///
/// It is Dekker's algorithm with the owner's barrier moved to the other side. The owner says that
/// it is inside, then looks whether the gate is shut; who shuts it says so, then looks whether the
/// owner is inside. A processor may let the owner's look overtake its word, so that both would
/// miss each other: an ordinary lock pays a locked instruction for that, several times what a
/// block costs. Here who shuts makes every thread run a barrier between its word and its look
/// (`heavy_barrier`): an owner whose look came before it has spoken before it, too, and is seen;
/// one whose look comes after it finds the gate shut.
///
/// The owner's word is that it counts the step it is about to take; the step, the pointer's move,
/// is the last thing that it does inside. So the owner is inside while the counts and the pointer
/// disagree, no word is needed for leaving, and the counts tell how often the pointer was lowered.
/// Others never move it: what the owner knows of it is right.
///
/// The gate has a lock for each direction, for what the owner knows when it comes: whose gate it
/// must be where it lowers, and a key where it raises. One comparison tells whether the gate is
/// open and whether what lies behind it is what the owner came for. A gate that was never opened or
/// shut is nobody's, and opens for key 0 only.
template <class T>
class OwnerGate {
  public:
    constexpr OwnerGate() noexcept = default;

    /// The owner's. True: it is inside, and lowers the pointer soon, or not. False: the gate is
    /// shut, or another's. It never waits.
    bool enter_to_lower(const void* whose) noexcept { return enter(lowered_, whose_, whose); }
    void lower(T* pointer) noexcept { pointer_.store(pointer - 1, std::memory_order_release); }
    void leave_unlowered() noexcept { take_back(lowered_); }

    /// The same for the other direction.
    bool enter_to_raise(GateKey key) noexcept { return enter(raised_, key_, key); }
    void raise(T* pointer) noexcept { pointer_.store(pointer + 1, std::memory_order_release); }
    void leave_unraised() noexcept { take_back(raised_); }

    /// For any thread.
    T* pointer() const noexcept { return pointer_.load(std::memory_order_relaxed); }
    std::int64_t lowered() const noexcept { return lowered_.read(); }

    /// For the owner where others can't be at it meanwhile: they hold a lock that it holds.
    void step_down(T* pointer) noexcept {
        lowered_.add(1);
        lower(pointer);
    }
    void step_up(T* pointer) noexcept {
        raised_.add(1);
        raise(pointer);
    }
    void place(T* pointer) noexcept {
        raised_.set_in_order(number_of(pointer) + static_cast<std::uint32_t>(lowered()));
        pointer_.store(pointer, std::memory_order_relaxed);
    }
    /// Goes on with the steps down that another gate's owner took, who is outside. One that it has
    /// only counted, to be refused, is none.
    void inherit(const OwnerGate& other) noexcept {
        const std::int64_t taken = other.lowered() - (other.steps_ahead() == 1 ? 1 : 0);
        lowered_.add(taken);
        raised_.add(static_cast<std::uint32_t>(taken));
    }

    /// For others, one at a time: they hold a lock. First `shut` as many gates as needed, then one
    /// `heavy_barrier`, then `wait_outside` for each. What the owner did inside has happened then.
    void shut() noexcept {
        whose_.store(nullptr, std::memory_order_relaxed);
        key_.store(shut_gate, std::memory_order_relaxed);
    }
    void wait_outside() const noexcept {
        while (!is_outside()) sched_yield();
    }
    /// What was done behind the shut gate has happened for an owner that enters. `key` is not 0.
    void open(const void* whose, GateKey key) noexcept {
        whose_.store(whose, std::memory_order_release);
        key_.store(key, std::memory_order_release);
    }

  private:
    /// An owner that finds the gate shut counts, too, for a moment. It has left before that, and
    /// who sees such a count sees where it left the pointer: hence the order, here and in counting.
    bool is_outside() const noexcept { return steps_ahead() == 0; }
    /// By how many steps down the counts are ahead of the pointer.
    std::int32_t steps_ahead() const noexcept {
        const auto lowered = static_cast<std::uint32_t>(lowered_.read_in_order());
        const std::uint32_t raised = raised_.read_in_order();
        const std::uint32_t number = number_of(pointer_.load(std::memory_order_acquire));
        return static_cast<std::int32_t>(number - (raised - lowered));
    }
    static std::uint32_t number_of(const T* pointer) noexcept {
        return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(pointer) / sizeof(T));
    }
    template <class Number, class Lock>
    static bool enter(CounterOf<Number>& steps, const std::atomic<Lock>& lock,
                      Lock shown) noexcept {
        steps.add_in_order(1);
        // The compiler, for its part, must keep the order between the owner's word and its look.
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if (lock.load(std::memory_order_acquire) == shown) [[likely]]
            return true;
        take_back(steps);
        return false;
    }
    template <class Number>
    static void take_back(CounterOf<Number>& steps) noexcept {
        steps.add_in_order(static_cast<Number>(-1));
    }

    std::atomic<T*> pointer_ = nullptr;
    std::atomic<const void*> whose_ = nullptr;
    std::atomic<GateKey> key_ = 0;
    Counter lowered_;
    /// So many that the pointer's number is what was raised less what was lowered.
    CounterOf<std::uint32_t> raised_;
};

}  // namespace numpool
