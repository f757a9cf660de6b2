#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace numpool {

/// A fixed number of bits, all clear at first. A large bitmap uses no memory before its bits are
/// set: calloc maps it from the operating system, and its pages stay untouched.
class Bitmap {
  public:
    Bitmap() noexcept = default;

    /// Throws std::bad_alloc.
    explicit Bitmap(std::size_t bits) : words_{allocate(bits)} {}

    bool test(std::size_t bit) const noexcept { return (words_[bit / 64] >> (bit % 64) & 1) != 0; }

    /// Sets the bit. Returns whether it was clear.
    bool set(std::size_t bit) noexcept {
        const std::uint64_t mask = std::uint64_t{1} << (bit % 64);
        const bool was_clear = (words_[bit / 64] & mask) == 0;
        words_[bit / 64] |= mask;
        return was_clear;
    }

  private:
    struct Free {
        void operator()(std::uint64_t* words) const noexcept { std::free(words); }
    };
    using Words = std::unique_ptr<std::uint64_t[], Free>;

    static Words allocate(std::size_t bits) {
        auto* words =
            static_cast<std::uint64_t*>(std::calloc((bits + 63) / 64, sizeof(std::uint64_t)));
        if (words == nullptr && bits != 0) throw std::bad_alloc{};
        return Words{words};
    }

    Words words_;
};

}  // namespace numpool
