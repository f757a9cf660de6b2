#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/size.hpp"
#include "base/stride.hpp"
#include "pages/range/page_map.hpp"
#include "pages/source/page_source.hpp"

namespace numpool::pools {

/// How the slabs of one size class are cut: equal for all of them, worked out once.
struct SlabLayout {
    explicit SlabLayout(std::size_t size) noexcept
        : block_size{size},
          stride{size + gap_of(size)},
          bytes{bytes_for(stride.bytes())},
          blocks{bytes / stride.bytes()} {}

    /// Where the first block of a slab at this address starts: some cache lines into the slab, as
    /// far as the blocks leave room, a page at most. So the same places in two slabs seldom share a
    /// set of the processor's cache. The address alone decides it: memory that becomes a slab of
    /// the class again is used where it was touched before.
    std::size_t first_offset(const std::byte* start) const noexcept {
        const std::size_t left_over = bytes - blocks * stride.bytes();
        const std::size_t places = std::min<std::size_t>(left_over, 4032) / 64 + 1;
        return reinterpret_cast<std::uintptr_t>(start) / pages::granule * 21 % places * 64;
    }

    /// Bitmap words that a slab needs for one bit a block.
    std::size_t words() const noexcept { return (blocks + 63) / 64; }

    std::size_t block_size;
    Stride stride;
    /// Whole granules of the page map, so that an address tells its slab.
    std::size_t bytes;
    std::size_t blocks;
    /// No block shares all of its pages with others.
    bool has_pages = stride.bytes() >= pages::page_size();

  private:
    /// Blocks of a multiple of 2 KiB would all start at the same one or two places modulo 4096.
    /// There two arrays that are read together compete for the same cache sets, and a store seems
    /// to hit an unrelated load. A gap of a 64th, an odd number of cache lines, spreads them over
    /// all 64 places; from 36 KiB up the first six neighbours lie 512 bytes or more apart there.
    static constexpr std::size_t gap_of(std::size_t size) noexcept {
        if (size < 2048 || size % 2048 != 0) return 0;
        const std::size_t pages = std::max<std::size_t>(size / 4096, 1);
        return std::min<std::size_t>((pages - 1) | 1, 9) * 64;
    }

    /// At least eight blocks, four from 32 KiB up: a program uses few of such a size at a time, and
    /// no other class can use the rest of a slab's memory. At most an eighth is left over,
    /// untouched.
    static constexpr std::size_t bytes_for(std::size_t stride) noexcept {
        const std::size_t blocks = stride < std::size_t{32} << 10 ? 8 : 4;
        std::size_t bytes = round_up(blocks * stride, pages::granule);
        while (bytes % stride > bytes / 8) bytes += pages::granule;
        return bytes;
    }
};

}  // namespace numpool::pools
