#pragma once

#include <atomic>
#include <cstdint>

namespace numpool {

/// A count that one thread changes and any may read. The change is a load and a store, not an
/// atomic addition, which would cost twenty times as much; two changing threads would lose counts.
///
/// Who reads it in order sees what the changing thread had done before it changed it in order.
template <class Number>
class CounterOf {
  public:
    void add(Number n) noexcept {
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
        // Compilers make three instructions of the other branch; the processor has one for it.
        // With some counts for each block, that is a tenth of what a block costs.
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
        // The processor keeps the order of stores; the compiler must, too.
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
