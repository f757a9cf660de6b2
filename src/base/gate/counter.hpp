#pragma once

#include <atomic>
#include <cstdint>

namespace numpool {

/// A count that one thread changes and any thread may read. A change is a load and a store, because
/// an atomic addition costs twenty times as much. So only one thread may change it.
///
/// `read_in_order` is an acquire load; `add_in_order` and `set_in_order` are release stores.
template <class Number>
class CounterOf {
  public:
    void add(Number n) noexcept {
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
        // One instruction, where compilers make three of the other branch. Each block changes
        // several counts, so this saves a tenth of its time.
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
        // x86-64 keeps the order of stores. The fence makes the compiler keep it, too.
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
