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

/// The size of a magazine's blocks, its first capacity and its largest one.
struct MagazineBounds {
    std::size_t block_size;
    std::size_t at_first;
    std::size_t widest;
};

/// A magazine for each of a pool's sizes, bounded in blocks and in bytes. The caller provides the
/// memory of the magazines themselves.
///
/// A full magazine first grows, as long as all magazines together stay within `most_bytes_wide`.
/// Only after that it is flushed. The reason: a program that releases many blocks at once will
/// probably acquire as many again.
template <class Block>
class MagazinesOf {
  public:
    static constexpr std::size_t most_blocks = 1024;
    static_assert(most_blocks <= MagazineOf<Block>::most_blocks);
    static constexpr std::size_t most_bytes = std::size_t{256} << 10;
    static constexpr std::size_t most_bytes_wide = std::size_t{4} << 20;

    /// `bounds` must outlive this; `magazines` has room for one magazine for each of them. Throws
    /// std::bad_alloc.
    MagazinesOf(std::span<const MagazineBounds> bounds, MagazineOf<Block>* magazines)
        : bounds_{bounds}, magazines_{magazines} {
        std::size_t total = 0;
        for (const MagazineBounds& one : bounds) total += one.widest + 1;
        // On whole cache lines, so that no other thread shares one. Zero is "no block", and memory
        // from calloc stays untouched until a magazine is used.
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

    /// The bounds for a magazine for each size class.
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

    /// Makes room in a full magazine. `release(blocks, count)` gets a batch if that is necessary.
    template <class Release>
    void make_room(std::size_t number, Release release) noexcept {
        MagazineOf<Block>& magazine = magazines_[number];
        if (!magazine.close_up() && !widen(number)) magazine.flush(release);
    }

    /// Whether any magazine is wider than at first.
    bool wide() const noexcept { return spare_bytes_ != most_bytes_wide; }

    /// Makes all magazines as narrow as at first. `release(number, blocks, count)` gets the blocks
    /// that do not fit any more.
    template <class Release>
    void make_narrow(Release release) noexcept {
        for (std::size_t i = 0; i < size(); ++i) shrink(i, bounds_[i].at_first, release);
        spare_bytes_ = most_bytes_wide;
    }

    /// Like `make_narrow`, and empties all magazines.
    template <class Release>
    void empty(Release release) noexcept {
        for (std::size_t i = 0; i < size(); ++i) shrink(i, 0, release);
        make_narrow(release);
    }

  private:
    static constexpr std::size_t line = 64;

    struct Free {
        void operator()(void* memory) const noexcept { std::free(memory); }
    };

    template <class Release>
    void shrink(std::size_t number, std::size_t capacity, Release release) noexcept {
        magazines_[number].narrow(capacity, [&](const Block* blocks, std::size_t count) {
            release(number, blocks, count);
        });
    }

    /// False if the magazine is as wide as it may be.
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
