#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace numpool {

/// The block sizes of a slab pool.
///
/// The default classes: 16, 32, 48, 64, 128, 192, 256, then four for each doubling, eight from
/// 32 KiB to 64 KiB. Powers of two fit exactly. From 64 bytes up a size is a multiple of 64, so
/// each such block starts on its own cache line. Finer steps would save little: a block of 80 bytes
/// that does not start on a cache line touches two lines, like one of 128.
class SizeClasses {
  public:
    /// The largest block size, in any list of classes.
    static constexpr std::size_t largest = std::size_t{64} << 10;
    /// The most classes that a list of sizes may name.
    static constexpr std::size_t most = 128;
    /// The most classes of a pool: those of a list and the default ones above them.
    static constexpr std::size_t most_in_all = most + 64;

    /// The default classes.
    SizeClasses();

    /// Blocks of these sizes, in any order. Each size is rounded up to a multiple of 16, from 64
    /// bytes on of 64. The default classes follow above the largest of them. Throws BadArgument if
    /// there is no size, one is 0 or above `largest`, or there are more than `most`.
    explicit SizeClasses(std::span<const std::size_t> sizes);

    std::size_t count() const noexcept { return count_; }
    std::size_t size(std::size_t number) const noexcept { return sizes_[number]; }

    /// The alignment of a class's blocks; it divides the class's size.
    static constexpr std::size_t align_of(std::size_t size) noexcept { return size < 64 ? 16 : 64; }

  private:
    void add(std::size_t size) noexcept { sizes_[count_++] = static_cast<std::uint32_t>(size); }
    void add_defaults_above(std::size_t size) noexcept;

    std::array<std::uint32_t, most_in_all> sizes_{};
    std::size_t count_ = 0;
};

}  // namespace numpool
