#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

/// What a fuzz target is made of: an input that becomes numbers, and REQUIRE for what must hold.
namespace fuzz {

/// The bytes that libFuzzer made up, as numbers. At its end every number is 0.
class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size) noexcept : at_{data}, end_{data + size} {}

    /// Whether there is one more operation to do; counts it.
    bool more() noexcept {
        if (at_ == end_) return false;
        ++operations;
        return true;
    }
    std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }

    std::uint8_t byte() noexcept { return at_ == end_ ? std::uint8_t{0} : *at_++; }
    bool flag() noexcept { return (byte() & 1) != 0; }

    /// A number below `count`, for counts up to 2^16.
    std::size_t below(std::size_t count) noexcept {
        std::size_t value = byte();
        if (count > 256) value |= std::size_t{byte()} << 8;
        return value % count;
    }

    /// A size below 2^`bits`, each doubling as likely as the next.
    std::size_t size(unsigned bits) noexcept {
        const unsigned doublings = byte() % (bits + 1);
        const std::size_t value = byte() | std::size_t{byte()} << 8;
        return value << doublings >> 16;
    }

    /// A plausible size, or one of those at which arithmetic overflows.
    std::size_t any_size(unsigned bits) noexcept {
        const std::uint8_t kind = byte();
        if (kind < 192) return size(bits);
        // A power of two, or what lies a little below or above one.
        return (std::size_t{1} << (kind % 64)) + std::size_t{byte()} - 128;
    }

    /// Operations that all inputs of this process did.
    static inline std::size_t operations = 0;

  private:
    const std::uint8_t* at_;
    const std::uint8_t* end_;
};

[[noreturn]] inline void fail(const char* file, int line, const char* condition) {
    std::fprintf(stderr, "%s:%d: not true: %s\n", file, line, condition);
    std::abort();
}

/// The target: uses a new pool as the input says, and requires that it behaves as its model.
void use(Input& input);

}  // namespace fuzz

#define REQUIRE(condition) ((condition) ? void() : fuzz::fail(__FILE__, __LINE__, #condition))
