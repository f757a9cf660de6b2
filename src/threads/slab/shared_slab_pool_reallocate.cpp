#include <algorithm>
#include <cstring>

#include "threads/slab/shared_slab_pool.hpp"

namespace numpool::threads {
namespace {

/// A small block that grows to this size or more becomes a span. A block that has grown will often
/// grow again, and a span grows without a copy from class to class. Below this size the copies are
/// cheap, and a granule would be too much for the block.
constexpr std::size_t grows_into_span = pages::granule / 4;

}  // namespace

std::byte* SharedSlabPool::try_reallocate(void* address, std::size_t bytes) noexcept {
    using Kind = pools::SlabCentre::Place::Kind;
    auto* const block = static_cast<std::byte*>(address);
    if (block == nullptr) return try_acquire(bytes);
    const pools::SlabCentre::Place place = centre_.place_of(block);
    std::size_t size = bytes;
    std::byte* moved = nullptr;
    if (place.kind == Kind::small) {
        size = classes().size(place.size_class);
        const bool much_too_large = bytes <= size / 2 && size > classes().size(0);
        if (bytes <= size && !much_too_large) return block;
        if (bytes > size && bytes >= grows_into_span && bytes <= SizeClasses::largest) {
            moved = try_acquire_span(bytes);
        }
    } else if (place.kind == Kind::foreign) {
        return nullptr;
    } else if (bytes > SizeClasses::largest || bytes >= centre_.large_bytes(block)) {
        return reallocate_span(block, bytes);
    }
    const std::size_t kept = std::min(size, bytes);
    if (moved == nullptr) moved = try_acquire(bytes);
    if (moved == nullptr) return bytes <= size ? block : nullptr;
    std::memcpy(moved, block, kept);
    try_release(block, 0);
    return moved;
}

/// A block in a span, whatever its size, so that it can grow in place. Null where there is none.
std::byte* SharedSlabPool::try_acquire_span(std::size_t bytes) noexcept {
    // In a pool that wipes, spans do not grow in place.
    if (wipe_) return nullptr;
    const Lock lock{mutex_};
    return closed_ ? nullptr : centre_.acquire_large(bytes, false).start;
}

/// For a span and a size that is no smaller, or above the largest class.
std::byte* SharedSlabPool::reallocate_span(std::byte* block, std::size_t bytes) noexcept {
    if (wipe_) return reallocate_wiped(block, bytes);
    const Lock lock{mutex_};
    if (closed_) return nullptr;
    std::byte* moved = centre_.reallocate_large(block, bytes);
    if (moved == nullptr) {
        empty_all();
        moved = centre_.reallocate_large(block, bytes);
    }
    if (moved == nullptr) centre_.note_failure();
    return moved;
}

/// Where a span grows or shrinks it leaves unwiped bytes behind, so this copies.
std::byte* SharedSlabPool::reallocate_wiped(std::byte* block, std::size_t bytes) noexcept {
    const std::size_t kept = std::min(bytes, centre_.large_bytes(block));
    if (kept == 0) return nullptr;
    std::byte* const moved = try_acquire(bytes);
    if (moved == nullptr) return nullptr;
    std::memcpy(moved, block, kept);
    try_release(block, 0);
    return moved;
}

}  // namespace numpool::threads
