#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace numpool {

/// Divides byte offsets by a fixed stride exactly, with one multiplication.
///
/// An odd number has an inverse modulo 2^64, and multiplication by the inverse is a bijection. It
/// maps the multiples of the stride to their quotients, and all other offsets to numbers above the
/// largest quotient. So one comparison of the result with a count tells whether an offset is a
/// multiple of the stride and in range.
class Stride {
  public:
    constexpr explicit Stride(std::size_t bytes) noexcept
        : bytes_{bytes},
          shift_{std::countr_zero(bytes)},
          inverse_{inverse_of(std::uint64_t{bytes} >> std::countr_zero(bytes))} {}

    constexpr std::size_t bytes() const noexcept { return bytes_; }

    /// `offset / bytes` if the division is exact; otherwise a number above every exact quotient.
    constexpr std::size_t exact_quotient(std::size_t offset) const noexcept {
        return std::rotr(std::uint64_t{offset} * inverse_, shift_);
    }

  private:
    /// Each step of Newton's iteration doubles the number of correct bits: 3, 6, 12, 24, 48, 96.
    static constexpr std::uint64_t inverse_of(std::uint64_t odd) noexcept {
        std::uint64_t inverse = odd;
        for (int i = 0; i < 5; ++i) inverse *= 2 - odd * inverse;
        return inverse;
    }

    std::size_t bytes_;
    int shift_;
    std::uint64_t inverse_;
};

}  // namespace numpool
