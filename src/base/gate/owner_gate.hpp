#pragma once

#include <atomic>
#include <cstdint>

#include "base/gate/backoff.hpp"
#include "base/gate/counter.hpp"

namespace numpool {

/// What opens a gate for steps up: a page map tag, or the address of a pool with equal blocks.
using GateKey = std::uint64_t;
/// A shut gate has this in place of a key. It is no tag and no address.
inline constexpr GateKey shut_gate = 1;

/// Protects the top pointer of a magazine, which one thread, the owner, moves up and down step by
/// step. The owner passes the gate without a locked instruction. Another thread can keep the owner
/// out with `shut_gates`, which stops every thread of the process for a moment.
///
/// The owner counts a step, then checks whether the gate is open, and moves the pointer when it
/// leaves. So it is inside while the counts and the pointer disagree; and the count of steps down
/// is the number of requests. README.md beside this file has the protocol and its proof.
///
/// The gate has a lock for each direction: for steps down it is the address of the magazine's pool,
/// for steps up a key. One comparison tells whether the gate is open and whether this is the
/// magazine that the owner needs. A gate that was never opened opens for key 0 only.
template <class T>
class OwnerGate {
  public:
    constexpr OwnerGate() noexcept = default;

    /// For the owner; never waits. True: the owner is inside until it calls one of the next two.
    /// False: the gate is shut, or the magazine is another pool's.
    bool enter_to_lower(const void* pool) noexcept { return enter(lowered_, pool_, pool); }
    void lower(T* pointer) noexcept { pointer_.store(pointer - 1, std::memory_order_release); }
    void leave_unlowered() noexcept { uncount(lowered_); }

    /// The same for a step up.
    bool enter_to_raise(GateKey key) noexcept { return enter(raised_, key_, key); }
    void raise(T* pointer) noexcept { pointer_.store(pointer + 1, std::memory_order_release); }
    void leave_unraised() noexcept { uncount(raised_); }

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
    /// Adds the steps down of another gate, whose owner is outside. A step that is only counted is
    /// not added, because the owner is about to uncount it.
    void inherit(const OwnerGate& other) noexcept {
        const std::int64_t steps = other.lowered() - (other.steps_ahead() == 1 ? 1 : 0);
        lowered_.add(steps);
        raised_.add(static_cast<std::uint32_t>(steps));
    }

    /// For other threads, one at a time, under a lock. `shut_gates` calls both, with the heavy
    /// barrier between them. `shut` alone is enough if the owner is the caller or cannot be inside.
    void shut() noexcept {
        pool_.store(nullptr, std::memory_order_relaxed);
        key_.store(shut_gate, std::memory_order_relaxed);
    }
    void wait_outside() const noexcept {
        for (Backoff backoff; !is_outside();) backoff.pause();
    }
    /// An owner that enters sees what was done while the gate was shut. `key` is not 0.
    void open(const void* pool, GateKey key) noexcept {
        pool_.store(pool, std::memory_order_release);
        key_.store(key, std::memory_order_release);
    }

  private:
    /// May be false for a moment while the owner counts and uncounts a step at the shut gate.
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
                      Lock expected) noexcept {
        steps.add_in_order(1);
        // This keeps the compiler from reordering; `heavy_barrier` does the same for the processor.
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if (lock.load(std::memory_order_acquire) == expected) [[likely]]
            return true;
        uncount(steps);
        return false;
    }
    template <class Number>
    static void uncount(CounterOf<Number>& steps) noexcept {
        steps.add_in_order(static_cast<Number>(-1));
    }

    std::atomic<T*> pointer_ = nullptr;
    std::atomic<const void*> pool_ = nullptr;
    std::atomic<GateKey> key_ = 0;
    Counter lowered_;
    /// While the owner is outside, the pointer's number equals raises minus lowers.
    CounterOf<std::uint32_t> raised_;
};

}  // namespace numpool
