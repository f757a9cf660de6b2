#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace numpool {

/// Which block size serves which request, in constant time: one load from a table with an entry
/// for each 16 bytes, without a branch, so that mixed sizes mispredict nothing.
///
/// The default classes: 16, 32, 48, 64, 128, 192, 256, then four for each doubling, eight from
/// 32 KiB to 64 KiB. Powers of two fit exactly. From 64 bytes up a size is a multiple of 64, so
/// that every such block can start on a cache line of its own: what finer steps up to 128 would
/// save (80 bytes for 128) is little, as such a block off a line's start touches two lines too.
class SizeClasses {
  public:
    /// The largest block, in any list of classes.
    static constexpr std::size_t largest = std::size_t{64} << 10;
    /// How many one's own list may name.
    static constexpr std::size_t most = 128;
    /// How many classes there are at most, with the default ones beyond one's own.
    static constexpr std::size_t most_in_all = most + 64;
    /// A class's offset is its number times this: the size of what its users keep for each class
    /// in a row, so that whoever has an offset finds its own by adding it, without multiplying.
    static constexpr std::size_t offset_step = 64;

    /// The default classes.
    SizeClasses();

    /// Blocks of just these sizes, in any order, each rounded up to a multiple of 16, from 64
    /// bytes on of 64; beyond the largest of them the default classes go on. Throws BadArgument
    /// where there is none, one is 0 or above `largest`, or there are more than `most`.
    explicit SizeClasses(std::span<const std::size_t> sizes);

    std::size_t count() const noexcept { return count_; }
    std::size_t size(std::size_t number) const noexcept { return sizes_[number]; }

    /// The class of the smallest blocks that hold `bytes`, `largest` at most.
    std::size_t class_of(std::size_t bytes) const noexcept { return number_of(offset_of(bytes)); }
    /// The same as an offset.
    std::size_t offset_of(std::size_t bytes) const noexcept { return offsets_[(bytes + 15) / 16]; }

    static constexpr std::size_t number_of(std::size_t offset) noexcept {
        return offset / offset_step;
    }
    std::size_t end_offset() const noexcept { return count_ * offset_step; }

    /// The least multiple of this divides the class's size: what its blocks can be aligned to.
    static constexpr std::size_t align_of(std::size_t size) noexcept { return size < 64 ? 16 : 64; }

  private:
    void add(std::size_t size) noexcept { sizes_[count_++] = static_cast<std::uint32_t>(size); }
    void add_defaults_above(std::size_t size) noexcept;
    void fill_table() noexcept;

    std::array<std::uint16_t, largest / 16 + 1> offsets_{};
    std::array<std::uint32_t, most_in_all> sizes_{};
    std::size_t count_ = 0;
};

}  // namespace numpool
