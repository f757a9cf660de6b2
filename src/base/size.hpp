#pragma once

#include <bit>
#include <cstddef>
#include <optional>

namespace numpool {

/// The most bytes of one request: a 47-bit user address space. The sum of two such sizes does not
/// overflow.
inline constexpr std::size_t max_size = std::size_t{1} << 47;

constexpr bool is_power_of_two(std::size_t n) noexcept {
    return std::has_single_bit(n);
}

/// `n` rounded up to a multiple of `step`, a power of two; `n` must be at most `max_size`.
constexpr std::size_t round_up(std::size_t n, std::size_t step) noexcept {
    return (n + step - 1) & ~(step - 1);
}

constexpr std::size_t round_down(std::size_t n, std::size_t step) noexcept {
    return n & ~(step - 1);
}

/// `a * b`, or nothing if the product exceeds `max_size`.
constexpr std::optional<std::size_t> checked_product(std::size_t a, std::size_t b) noexcept {
    if (b != 0 && a > max_size / b) return std::nullopt;
    return a * b;
}

/// The default alignment of blocks of this size. From 64 bytes on no two blocks share a cache line;
/// smaller ones get the alignment of the widest number that fits.
constexpr std::size_t usual_align(std::size_t block_size) noexcept {
    if (block_size >= 64) return 64;
    return block_size > 8 ? 16 : 8;
}

}  // namespace numpool
