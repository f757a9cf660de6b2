#pragma once

#include <cstddef>
#include <cstdint>

namespace numpool::pools {

/// An integer that stands for a block: 14 bits of a number that tells of whose blocks it is, then
/// 49 bits that hold the block's version and below it, in as few bits as will do, the block's
/// index. Always positive, and never small: neither an index nor a length is ever mistaken for one.
using Handle = std::int64_t;

inline constexpr int handle_version_bits = 49;
inline constexpr Handle handle_versions = Handle{1} << handle_version_bits;
/// Numbers are from 1 up to this.
inline constexpr Handle handle_numbers = Handle{1} << (63 - handle_version_bits);
/// The most blocks that one number may have: each is then good for 2^25 uses.
inline constexpr std::size_t handle_blocks = std::size_t{1} << 24;

/// The number in a handle; of no use to anyone where the integer is no handle.
constexpr Handle number_of(Handle handle) noexcept {
    return handle >> handle_version_bits;
}

}  // namespace numpool::pools
