#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "base/size.hpp"
#include "base/size_classes.hpp"
#include "pools/magazine/magazine.hpp"

namespace numpool::pools {

/// What one magazine is for: the size of its blocks, and how many of them at first and at most.
struct MagazineBounds {
    std::size_t block_size;
    std::size_t at_first;
    std::size_t widest;
};

/// A magazine for each of a pool's sizes, bounded in blocks and in bytes. The caller says where the
/// magazines lie.
///
/// A full magazine is made wider, as long as all of them together stay within a number of bytes;
/// only then is it flushed: a program that releases many blocks at once will acquire as many again.
template <class Block>
class MagazinesOf {
  public:
    static constexpr std::size_t most_blocks = 1024;
    static_assert(most_blocks <= MagazineOf<Block>::most_blocks);
    static constexpr std::size_t most_bytes = std::size_t{256} << 10;
    static constexpr std::size_t most_bytes_wide = std::size_t{4} << 20;

    /// `bounds` outlives this; `magazines` is room for one each. Throws std::bad_alloc.
    MagazinesOf(std::span<const MagazineBounds> bounds, MagazineOf<Block>* magazines)
        : bounds_{bounds}, magazines_{magazines} {
        std::size_t total = 0;
        for (const MagazineBounds& one : bounds) total += one.widest + 1;
        // On cache lines of their own: another thread might use the rest of a shared one. A zero is
        // "no block", and costs no memory before a magazine is used.
        total = round_up(total, line / sizeof(Block)) + line / sizeof(Block);
        places_.reset(std::calloc(total, sizeof(Block)));
        if (places_ == nullptr) throw std::bad_alloc{};
        auto* next = reinterpret_cast<Block*>(
            round_up(reinterpret_cast<std::uintptr_t>(places_.get()), line));
        for (std::size_t i = 0; i < size(); ++i) {
            (new (magazines + i) MagazineOf<Block>)->place_on(next, bounds[i].at_first);
            next += bounds[i].widest + 1;
        }
    }

    /// For blocks of any size: a magazine for each class.
    static std::vector<MagazineBounds> bounds_for(const SizeClasses& classes) {
        const auto capacity = [](std::size_t bytes, std::size_t block_size) {
            return std::clamp<std::size_t>(bytes / block_size, 2, most_blocks);
        };
        std::vector<MagazineBounds> bounds;
        for (std::size_t i = 0; i < classes.count(); ++i) {
            const std::size_t size = classes.size(i);
            bounds.push_back({size, capacity(most_bytes, size), capacity(most_bytes_wide, size)});
        }
        return bounds;
    }

    MagazineOf<Block>& operator[](std::size_t number) noexcept { return magazines_[number]; }
    const MagazineOf<Block>& operator[](std::size_t number) const noexcept {
        return magazines_[number];
    }
    std::size_t size() const noexcept { return bounds_.size(); }

    /// Makes room in a full one: a batch of it may go to `give(blocks, count)`.
    template <class Give>
    void make_room(std::size_t number, Give give) noexcept {
        MagazineOf<Block>& magazine = magazines_[number];
        if (!magazine.close_up() && !widen(number)) magazine.flush(give);
    }

    /// Whether any is wider than they all begin.
    bool wide() const noexcept { return spare_bytes_ != most_bytes_wide; }

    /// Makes all as narrow as they began: blocks that then do not fit go to
    /// `give(number, blocks, count)`.
    template <class Give>
    void make_narrow(Give give) noexcept {
        for (std::size_t i = 0; i < size(); ++i) shrink(i, bounds_[i].at_first, give);
        spare_bytes_ = most_bytes_wide;
    }

    /// Like `make_narrow`, and empties all.
    template <class Give>
    void empty(Give give) noexcept {
        for (std::size_t i = 0; i < size(); ++i) shrink(i, 0, give);
        make_narrow(give);
    }

  private:
    static constexpr std::size_t line = 64;

    struct Free {
        void operator()(void* memory) const noexcept { std::free(memory); }
    };

    template <class Give>
    void shrink(std::size_t number, std::size_t capacity, Give give) noexcept {
        magazines_[number].narrow(
            capacity, [&](const Block* blocks, std::size_t count) { give(number, blocks, count); });
    }

    /// False where it is as wide as it may be.
    bool widen(std::size_t number) noexcept {
        const std::size_t before = magazines_[number].capacity();
        const std::size_t after = std::min(2 * before, bounds_[number].widest);
        const std::size_t bytes = (after - before) * bounds_[number].block_size;
        if (after == before || bytes > spare_bytes_) return false;
        spare_bytes_ -= bytes;
        magazines_[number].widen(after);
        return true;
    }

    std::span<const MagazineBounds> bounds_;
    MagazineOf<Block>* magazines_;
    std::unique_ptr<void, Free> places_;
    std::size_t spare_bytes_ = most_bytes_wide;
};

using Magazines = MagazinesOf<FreeBlock>;

}  // namespace numpool::pools
