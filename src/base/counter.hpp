#pragma once

#include <atomic>
#include <cstdint>

namespace numpool {

/// A count that one thread changes and any may read. The change is a load and a store, not an
/// atomic addition, which would cost twenty times as much; two changing threads would lose counts.
class Counter {
  public:
    void add(std::int64_t n) noexcept {
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
        // Compilers make three instructions of the other branch; the processor has one for it.
        // With three counts for each block, that is a tenth of what a block costs.
        asm("addq %1, %0" : "+m"(value_) : "er"(n));
#else
        value_.store(read() + n, std::memory_order_relaxed);
#endif
    }
    std::int64_t read() const noexcept { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::int64_t> value_ = 0;
};

}  // namespace numpool
