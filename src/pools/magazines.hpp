#pragma once

#include <algorithm>
#include <memory>
#include <new>

#include "base/size_classes.hpp"
#include "pools/magazine.hpp"

namespace numpool::pools {

/// A magazine for each class, bounded in blocks and in bytes. The magazines lie where whoever
/// makes this wants them.
///
/// One that is full is made wider first and flushed later, as far as the bytes go that all of them
/// may be wider by: a program that releases many blocks at once will have had them at once.
class Magazines {
  public:
    static constexpr std::size_t most_blocks = 1024;
    static constexpr std::size_t most_bytes = std::size_t{256} << 10;
    static constexpr std::size_t most_bytes_wide = std::size_t{4} << 20;

    /// `magazines` is room for one of each class. Throws std::bad_alloc.
    Magazines(const SizeClasses& classes, Magazine* magazines)
        : classes_{classes}, magazines_{magazines} {
        std::size_t total = 0;
        for (std::size_t i = 0; i < size(); ++i) total += widest(i) + 1;
        places_.reset(new FreeBlock[total]);
        FreeBlock* next = places_.get();
        for (std::size_t i = 0; i < size(); ++i) {
            (new (magazines + i) Magazine)->place_on(next, at_first(i));
            next += widest(i) + 1;
        }
    }

    Magazine& operator[](std::size_t number) noexcept { return magazines_[number]; }
    const Magazine& operator[](std::size_t number) const noexcept { return magazines_[number]; }
    std::size_t size() const noexcept { return classes_.count(); }

    /// Makes room in a full one: a batch of it may go to `give(blocks, count)`.
    template <class Give>
    void make_room(std::size_t number, Give give) noexcept {
        if (!widen(number)) magazines_[number].flush(give);
    }

    /// Whether any is wider than they all begin.
    bool wide() const noexcept { return spare_bytes_ != most_bytes_wide; }

    /// Makes all narrow again, as they began: what they then cannot hold goes to
    /// `give(number, blocks, count)`.
    template <class Give>
    void make_narrow(Give give) noexcept {
        for (std::size_t i = 0; i < size(); ++i) shrink(i, at_first(i), give);
        spare_bytes_ = most_bytes_wide;
    }

    /// The same, and empties all.
    template <class Give>
    void empty(Give give) noexcept {
        for (std::size_t i = 0; i < size(); ++i) shrink(i, 0, give);
        make_narrow(give);
    }

  private:
    std::size_t capacity(std::size_t number, std::size_t bytes) const noexcept {
        return std::clamp<std::size_t>(bytes / classes_.size(number), 2, most_blocks);
    }
    std::size_t at_first(std::size_t number) const noexcept { return capacity(number, most_bytes); }
    std::size_t widest(std::size_t number) const noexcept {
        return capacity(number, most_bytes_wide);
    }

    template <class Give>
    void shrink(std::size_t number, std::size_t capacity, Give give) noexcept {
        magazines_[number].narrow(capacity, [&](const FreeBlock* blocks, std::size_t count) {
            give(number, blocks, count);
        });
    }

    /// False where it is as wide as it may be.
    bool widen(std::size_t number) noexcept {
        const std::size_t before = magazines_[number].capacity();
        const std::size_t after = std::min(2 * before, widest(number));
        const std::size_t bytes = (after - before) * classes_.size(number);
        if (after == before || bytes > spare_bytes_) return false;
        spare_bytes_ -= bytes;
        magazines_[number].widen(after);
        return true;
    }

    const SizeClasses& classes_;
    Magazine* magazines_;
    std::unique_ptr<FreeBlock[]> places_;
    std::size_t spare_bytes_ = most_bytes_wide;
};

}  // namespace numpool::pools
