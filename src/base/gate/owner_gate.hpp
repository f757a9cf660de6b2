#pragma once

#include <atomic>
#include <cstdint>

#include "base/gate/backoff.hpp"
#include "base/gate/counter.hpp"

namespace numpool {

/// What opens a gate for steps up: a number, or an address.
using GateKey = std::uint64_t;
/// What a shut gate has instead: nobody's key.
inline constexpr GateKey shut_gate = 1;

/// A pointer that one thread, the owner, raises and lowers step by step, and a gate before what
/// belongs to it: the owner passes without a locked instruction, and another thread, now and then,
/// can keep it out with `shut_gates`, which stops every thread of the process for a moment.
///
/// The owner counts a step before it looks whether the gate is open, and moves the pointer when it
/// leaves: so it is inside while the counts and the pointer disagree, and the counts tell how often
/// the pointer was lowered. README.md beside this file has the protocol and its proof.
///
/// The gate has a lock for each direction: for steps down it says whose gate this is, for steps up
/// it has a key. One comparison tells whether the gate is open and whether what lies behind it is
/// what the owner needs. A gate that was never opened is nobody's, and opens for key 0 only.
template <class T>
class OwnerGate {
  public:
    constexpr OwnerGate() noexcept = default;

    /// For the owner; never waits. True: it is inside until it calls one of the next two. False:
    /// the gate is shut, or somebody else's.
    bool enter_to_lower(const void* whose) noexcept { return enter(lowered_, whose_, whose); }
    void lower(T* pointer) noexcept { pointer_.store(pointer - 1, std::memory_order_release); }
    void leave_unlowered() noexcept { take_back(lowered_); }

    /// For the other direction.
    bool enter_to_raise(GateKey key) noexcept { return enter(raised_, key_, key); }
    void raise(T* pointer) noexcept { pointer_.store(pointer + 1, std::memory_order_release); }
    void leave_unraised() noexcept { take_back(raised_); }

    /// For any thread.
    T* pointer() const noexcept { return pointer_.load(std::memory_order_relaxed); }
    std::int64_t lowered() const noexcept { return lowered_.read(); }

    /// For the owner while it holds the lock that others need.
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
    /// Adds the steps down of another gate, whose owner is outside. A step that is counted and
    /// about to be refused is not added.
    void inherit(const OwnerGate& other) noexcept {
        const std::int64_t taken = other.lowered() - (other.steps_ahead() == 1 ? 1 : 0);
        lowered_.add(taken);
        raised_.add(static_cast<std::uint32_t>(taken));
    }

    /// For others, one at a time, under a lock: `shut_gates` calls both, with the heavy barrier
    /// between them. `shut` alone is enough where the owner is the caller, or can't be inside.
    void shut() noexcept {
        whose_.store(nullptr, std::memory_order_relaxed);
        key_.store(shut_gate, std::memory_order_relaxed);
    }
    void wait_outside() const noexcept {
        for (Backoff backoff; !is_outside();) backoff.pause();
    }
    /// An owner that enters sees what was done while the gate was shut. `key` is not 0.
    void open(const void* whose, GateKey key) noexcept {
        whose_.store(whose, std::memory_order_release);
        key_.store(key, std::memory_order_release);
    }

  private:
    /// An owner that finds the gate shut counts, too, for a moment: then this is false once more.
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
        // The compiler must keep this order; the processor need not: `heavy_barrier` is for that.
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
    /// The pointer's number equals raises minus lowers.
    CounterOf<std::uint32_t> raised_;
};

}  // namespace numpool
