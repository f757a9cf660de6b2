#pragma once

#include <algorithm>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "base/size.hpp"
#include "base/size_classes.hpp"
#include "pools/magazine.hpp"

namespace numpool::pools {

/// A magazine for each of a pool's sizes, bounded in blocks and in bytes. The magazines lie where
/// whoever makes this wants them.
class Magazines {
  public:
    static constexpr std::size_t most_blocks = 1024;
    static constexpr std::size_t most_bytes = std::size_t{256} << 10;

    /// `magazines` is room for one of each capacity. Throws std::bad_alloc.
    Magazines(std::span<const std::size_t> capacities, Magazine* magazines)
        : magazines_{magazines}, count_{capacities.size()} {
        std::size_t total = 0;
        for (const std::size_t capacity : capacities) total += capacity + 1;
        // On cache lines of their own: whatever else shared one, another thread might read.
        total = round_up(total, line / sizeof(FreeBlock));
        blocks_.reset(new (std::align_val_t{line}) FreeBlock[total]);
        FreeBlock* next = blocks_.get();
        for (std::size_t i = 0; i < count_; ++i) {
            (new (magazines + i) Magazine)->place_on(next, capacities[i]);
            next += capacities[i] + 1;
        }
    }

    Magazine& operator[](std::size_t number) noexcept { return magazines_[number]; }
    const Magazine& operator[](std::size_t number) const noexcept { return magazines_[number]; }
    std::size_t size() const noexcept { return count_; }

    /// Empties all: `give(number, blocks, count)` for each that has blocks.
    template <class Give>
    void empty(Give give) noexcept {
        for (std::size_t i = 0; i < count_; ++i) {
            magazines_[i].empty(
                [&](const FreeBlock* blocks, std::size_t count) { give(i, blocks, count); });
        }
    }

    static constexpr std::size_t capacity_for(std::size_t block_size) noexcept {
        return std::clamp<std::size_t>(most_bytes / block_size, 2, most_blocks);
    }
    static std::vector<std::size_t> capacities_for(const SizeClasses& classes) {
        std::vector<std::size_t> capacities;
        for (std::size_t i = 0; i < classes.count(); ++i)
            capacities.push_back(capacity_for(classes.size(i)));
        return capacities;
    }

  private:
    static constexpr std::size_t line = 64;

    struct Delete {
        void operator()(FreeBlock* blocks) const noexcept {
            ::operator delete[](blocks, std::align_val_t{line});
        }
    };

    Magazine* magazines_;
    std::unique_ptr<FreeBlock[], Delete> blocks_;
    std::size_t count_;
};

}  // namespace numpool::pools
