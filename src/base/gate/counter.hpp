#pragma once

#include <atomic>
#include <cstdint>

namespace numpool {

/// A count that one thread changes and any thread may read. A change is a load and a store, not an
/// atomic addition, which costs twenty times as much; two threads that change it would lose counts.
///
/// `read_in_order` is an acquire load, `add_in_order` and `set_in_order` are release stores.
template <class Number>
class CounterOf {
  public:
    void add(Number n) noexcept {
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
        // One instruction; compilers make three of the other branch. A block is counted several
        // times, so that is a tenth of what it costs.
        if constexpr (sizeof(Number) == 8) {
            asm("addq %1, %0" : "+m"(value_) : "er"(n));
        } else {
            static_assert(sizeof(Number) == 4);
            asm("addl %1, %0" : "+m"(value_) : "er"(n));
        }
#else
        value_.store(read() + n, std::memory_order_relaxed);
#endif
    }
    Number read() const noexcept { return value_.load(std::memory_order_relaxed); }

    void add_in_order(Number n) noexcept {
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
        // This processor keeps the order of stores; the fence makes the compiler keep it.
        std::atomic_signal_fence(std::memory_order_release);
        add(n);
#else
        set_in_order(read() + n);
#endif
    }
    void set_in_order(Number value) noexcept { value_.store(value, std::memory_order_release); }
    Number read_in_order() const noexcept { return value_.load(std::memory_order_acquire); }

  private:
    std::atomic<Number> value_ = 0;
};

using Counter = CounterOf<std::int64_t>;

}  // namespace numpool
