#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace numpool {

/// Which block size serves which request.
///
/// The default classes: 16, 32, 48, 64, 128, 192, 256, then four for each doubling, eight from
/// 32 KiB to 64 KiB. Powers of two fit exactly. From 64 bytes up a size is a multiple of 64, so
/// that every such block can start on a cache line of its own: what finer steps up to 128 would
/// save (80 bytes for 128) is little, as such a block off a line's start touches two lines too.
class SizeClasses {
  public:
    /// The largest block, in any list of classes.
    static constexpr std::size_t largest = std::size_t{64} << 10;
    /// The most classes that a list of sizes may name.
    static constexpr std::size_t most = 128;
    /// The most classes that there are, with the default ones beyond those of a list.
    static constexpr std::size_t most_in_all = most + 64;

    /// The default classes.
    SizeClasses();

    /// Blocks of just these sizes, in any order, each rounded up to a multiple of 16, from 64
    /// bytes on of 64; above the largest of them the default classes follow. Throws BadArgument
    /// where there is none, one is 0 or above `largest`, or there are more than `most`.
    explicit SizeClasses(std::span<const std::size_t> sizes);

    std::size_t count() const noexcept { return count_; }
    std::size_t size(std::size_t number) const noexcept { return sizes_[number]; }

    /// The class of the smallest blocks that hold `bytes`, `largest` at most: found by bisection.
    /// `pools::ClassOffsets` is the fast way.
    std::size_t class_of(std::size_t bytes) const noexcept;

    /// The least multiple of this divides the class's size: what its blocks can be aligned to.
    static constexpr std::size_t align_of(std::size_t size) noexcept { return size < 64 ? 16 : 64; }

  private:
    void add(std::size_t size) noexcept { sizes_[count_++] = static_cast<std::uint32_t>(size); }
    void add_defaults_above(std::size_t size) noexcept;

    std::array<std::uint32_t, most_in_all> sizes_{};
    std::size_t count_ = 0;
};

}  // namespace numpool
