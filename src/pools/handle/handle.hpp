#pragma once

#include <cstddef>
#include <cstdint>

namespace numpool::pools {

/// An integer that stands for a block: 14 bits for the number of its table, then 49 bits for the
/// block's version and, in as few low bits as possible, its index. It is positive and large, so no
/// index and no length is mistaken for a handle.
using Handle = std::int64_t;

inline constexpr int handle_version_bits = 49;
inline constexpr Handle handle_versions = Handle{1} << handle_version_bits;
/// The numbers of tables are from 1 on and below this.
inline constexpr Handle handle_numbers = Handle{1} << (63 - handle_version_bits);
/// The most blocks of a table. Then each block can be used 2^25 times.
inline constexpr std::size_t handle_blocks = std::size_t{1} << 24;

/// The table's number in a handle. Any integer may be passed.
constexpr Handle number_of(Handle handle) noexcept {
    return handle >> handle_version_bits;
}

}  // namespace numpool::pools
