/// An arena as a source of bytes.

#include "threads/arena/shared_arena.hpp"

namespace numpool::threads {

std::byte* SharedArena::try_acquire(std::size_t bytes) noexcept {
    const Lock lock{mutex_};
    return counted(closed_ ? nullptr : arena_->acquire(bytes), bytes);
}

std::byte* SharedArena::try_acquire_zeroed(std::size_t bytes) noexcept {
    const Lock lock{mutex_};
    return counted(closed_ ? nullptr : arena_->acquire_zeroed(bytes), bytes);
}

std::byte* SharedArena::counted(std::byte* block, std::size_t bytes) noexcept {
    if (block == nullptr) {
        ++failures_;
    } else {
        note_request(bytes);
    }
    return block;
}

bool SharedArena::try_release(void* block, std::size_t) noexcept {
    if (block == nullptr) return true;
    auto* const start = static_cast<std::byte*>(block);
    Lock lock{mutex_};
    if (!arena_ || !arena_->owns(start)) return false;
    arena_->end_use(start);
    check_each_time();
    end_if_unused(lock);
    return true;
}

std::byte* SharedArena::try_reallocate(void* block, std::size_t bytes) noexcept {
    if (block == nullptr) return try_acquire(bytes);
    auto* const start = static_cast<std::byte*>(block);
    const Lock lock{mutex_};
    // A closed arena hands out nothing new.
    if (closed_ || !arena_->owns(start)) return nullptr;
    std::byte* const moved = arena_->reallocate(start, bytes);
    if (moved == nullptr) ++failures_;
    return moved;
}

std::size_t SharedArena::usable_size(const void* block) const noexcept {
    const auto* const start = static_cast<const std::byte*>(block);
    const Lock lock{mutex_};
    return arena_ ? arena_->usable_size(start) : 0;
}

}  // namespace numpool::threads
