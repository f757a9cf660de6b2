#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/size.hpp"
#include "base/stride.hpp"
#include "pages/range/page_map.hpp"
#include "pages/source/page_source.hpp"

namespace numpool::pools {

/// How a slab of a size class is divided into blocks. All slabs of the class share one layout.
struct SlabLayout {
    explicit SlabLayout(std::size_t size) noexcept
        : block_size{size},
          stride{size + gap_of(size)},
          bytes{bytes_for(stride.bytes())},
          blocks{bytes / stride.bytes()} {}

    /// The offset of the first block in a slab that starts at this address: some cache lines, as
    /// far as the blocks leave room, at most a page. So equal places in two slabs rarely share a
    /// set of the processor's cache. Only the address determines the offset. So if the memory
    /// becomes a slab of this class again, the same bytes of it are used.
    std::size_t first_offset(const std::byte* start) const noexcept {
        const std::size_t left_over = bytes - blocks * stride.bytes();
        const std::size_t places = std::min<std::size_t>(left_over, 4032) / 64 + 1;
        return reinterpret_cast<std::uintptr_t>(start) / pages::granule * 21 % places * 64;
    }

    /// The number of words of a bitmap with one bit for each block.
    std::size_t words() const noexcept { return (blocks + 63) / 64; }

    std::size_t block_size;
    Stride stride;
    /// The size of a slab: whole granules, so that the page map tells the slab of an address.
    std::size_t bytes;
    std::size_t blocks;
    /// Blocks are at least a page large, so each fresh one costs page faults of its own.
    bool has_pages = stride.bytes() >= pages::page_size();

  private:
    /// Without a gap, blocks of a multiple of 2 KiB would all start at one or two places modulo
    /// 4096. Two such arrays compete for the same cache sets, and the processor may take a store to
    /// one for a store to the other (4K aliasing). A gap of a 64th, an odd number of cache lines,
    /// spreads the starts over all 64 places; from 36 KiB up the first six lie 512 bytes or more
    /// apart there.
    static constexpr std::size_t gap_of(std::size_t size) noexcept {
        if (size < 2048 || size % 2048 != 0) return 0;
        const std::size_t pages = std::max<std::size_t>(size / 4096, 1);
        return std::min<std::size_t>((pages - 1) | 1, 9) * 64;
    }

    /// At least eight blocks, from 32 KiB up four: programs use few blocks of such a size at a
    /// time, and no other class can use the rest of the slab. At most an eighth of the slab is left
    /// over, and stays untouched.
    static constexpr std::size_t bytes_for(std::size_t stride) noexcept {
        const std::size_t blocks = stride < std::size_t{32} << 10 ? 8 : 4;
        std::size_t bytes = round_up(blocks * stride, pages::granule);
        while (bytes % stride > bytes / 8) bytes += pages::granule;
        return bytes;
    }
};

}  // namespace numpool::pools
