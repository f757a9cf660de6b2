#include "pools/slab/slab_pool.hpp"

#include "base/error.hpp"

namespace numpool::pools {

std::byte* SlabPool::acquire_slowly(std::size_t offset, std::size_t bytes, bool zeroed) noexcept {
    return refill(SizeClasses::number_of(offset)) ? acquire_block(bytes, zeroed) : nullptr;
}

bool SlabPool::release_slowly(std::byte* block, std::size_t bytes) noexcept {
    const SlabCentre::Place place = centre_.place_of(block);
    if (place.kind != SlabCentre::Place::Kind::small) {
        return block == nullptr || centre_.release_large(block);
    }
    // The size was wrong, or the magazine full.
    Magazine& magazine = magazines_[place.size_class];
    const FreeBlock unused{block, false};
    if (magazine.push(unused, bytes)) return true;
    make_room(place.size_class);
    return magazine.push(unused, bytes);
}

std::byte* SlabPool::acquire_large(std::size_t bytes, bool zeroed) noexcept {
    SlabCentre::LargeBlock block = centre_.acquire_large(bytes, zeroed);
    if (block.start == nullptr) {
        empty_magazines();
        block = centre_.acquire_large(bytes, zeroed);
    }
    if (block.start == nullptr) centre_.note_failure();
    if (block.dirty != 0) std::memset(block.start, 0, block.dirty);
    return block.start;
}

std::byte* SlabPool::reallocate(void* block, std::size_t bytes) {
    if (block != nullptr && !owns(block)) {
        throw BadArgument{centre_.title() + ": a block to reallocate is not this pool's"};
    }
    return checked(try_reallocate(block, bytes), bytes);
}

std::size_t SlabPool::usable_size(const void* block) const noexcept {
    const SlabCentre::Place place = centre_.place_of(block);
    if (place.kind == SlabCentre::Place::Kind::small) return classes().size(place.size_class);
    return centre_.large_bytes(static_cast<const std::byte*>(block));
}

std::size_t SlabPool::trim() noexcept {
    empty_magazines();
    return centre_.trim();
}

std::byte* SlabPool::checked(std::byte* block, std::size_t bytes) const {
    if (block == nullptr) throw Exhausted{centre_.refusal_text(bytes)};
    return block;
}

bool SlabPool::refill(std::size_t size_class) noexcept {
    Magazine& magazine = magazines_[size_class];
    const auto take = [&](FreeBlock* blocks, std::size_t most) {
        return centre_.take(size_class, blocks, most);
    };
    centre_.note_miss(size_class);
    magazine.refill(take);
    if (magazine.count() == 0) {
        empty_magazines();
        magazine.refill(take);
    }
    if (magazine.count() == 0) centre_.note_failure();
    return magazine.count() != 0;
}

void SlabPool::make_room(std::size_t size_class) noexcept {
    magazines_.make_room(size_class, [&](const FreeBlock* blocks, std::size_t count) {
        centre_.give(size_class, blocks, count);
    });
}

void SlabPool::empty_magazines() noexcept {
    magazines_.empty([&](std::size_t size_class, const FreeBlock* blocks, std::size_t count) {
        centre_.give(size_class, blocks, count);
    });
}

std::size_t SlabPool::decay() noexcept {
    magazines_.make_narrow([&](std::size_t size_class, const FreeBlock* blocks, std::size_t count) {
        centre_.give(size_class, blocks, count);
    });
    return centre_.decay();
}

}  // namespace numpool::pools
