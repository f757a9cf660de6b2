#pragma once

#include <algorithm>
#include <cstring>

#include "pools/slab/slab_centre.hpp"

namespace numpool::pools {

/// A small block that grows to so much or more becomes a span: a block that has grown will grow
/// again, and in a span it does so without being copied from class to class. Below, the copies are
/// cheap, and a granule would be too much for the block.
inline constexpr std::size_t grows_into_span = pages::granule / 4;

/// What all slab pools mean by `try_reallocate`: the cheapest way to a block of `bytes` with the
/// same contents. The pool has `try_acquire`, `try_release`, `centre()` and, for what needs its
/// lock, `try_acquire_span` and `try_reallocate_large`.
template <class Pool>
std::byte* reallocate_in(Pool& pool, std::byte* block, std::size_t bytes) noexcept {
    if (block == nullptr) return pool.try_acquire(bytes);
    const SizeClasses& classes = pool.centre().classes();
    const SlabCentre::Place place = pool.centre().place_of(block);
    std::size_t size = bytes;
    std::byte* moved = nullptr;
    if (place.kind == SlabCentre::Place::Kind::small) {
        size = classes.size(place.size_class);
        const bool much_too_large = bytes <= size / 2 && size > classes.size(0);
        if (bytes <= size && !much_too_large) return block;
        if (bytes > size && bytes >= grows_into_span && bytes <= SizeClasses::largest) {
            moved = pool.try_acquire_span(bytes);
        }
    } else if (place.kind == SlabCentre::Place::Kind::foreign) {
        return nullptr;
    } else if (bytes > SizeClasses::largest || bytes >= pool.centre().large_bytes(block)) {
        return pool.try_reallocate_large(block, bytes);
    }
    const std::size_t kept = std::min(size, bytes);
    if (moved == nullptr) moved = pool.try_acquire(bytes);
    if (moved == nullptr) return bytes <= size ? block : nullptr;
    std::memcpy(moved, block, kept);
    pool.try_release(block, 0);
    return moved;
}

}  // namespace numpool::pools
