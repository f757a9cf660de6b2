/// A fixed pool as a source of bytes.

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/size_text.hpp"
#include "threads/fixed/shared_fixed_pool.hpp"

namespace numpool::threads {

bool SharedFixedPool::fits(std::size_t bytes) const noexcept {
    // No object needs an alignment above its size, or above 16.
    const std::size_t align = std::min<std::size_t>(16, std::bit_floor(bytes));
    return bytes <= room_ && align <= align_;
}

void SharedFixedPool::note_failure() noexcept {
    const Lock lock{mutex_};
    ++failures_;
}

SharedFixedPool::Block SharedFixedPool::acquire_for(std::size_t bytes) noexcept {
    Block block;
    if (fits(bytes)) {
        block = pop_from(own_at_hand());
        if (!block) [[unlikely]]
            block = acquire_slow();
    }
    if (!block) [[unlikely]]
        note_failure();
    return block;
}

std::byte* SharedFixedPool::try_acquire(std::size_t bytes) noexcept {
    return acquire_for(bytes).start;
}

std::byte* SharedFixedPool::try_acquire_zeroed(std::size_t bytes) noexcept {
    const Block block = acquire_for(bytes);
    if (block && !block.zero) std::memset(block.start, 0, bytes);
    return block.start;
}

std::size_t SharedFixedPool::usable_size(const void* block) const noexcept {
    const auto* const address = static_cast<const std::byte*>(block);
    bool known = false;
    if (own_at_hand().magazines()->enter_by(threads_.first_key(), [&] {
            known = pool_->place_of(address).has_value();
        })) [[likely]] {
        return known ? room_ : 0;
    }
    const Lock lock{mutex_};
    return pool_ && pool_->place_of(address) ? room_ : 0;
}

[[gnu::cold]] std::string SharedFixedPool::refusal(std::size_t bytes) const {
    const std::string start = title() + ": " + size_to_text(bytes) + " requested; ";
    if (closed()) return closed_text();
    if (!fits(bytes)) return start + "its blocks are of " + size_to_text(block_size_);
    if (const std::size_t blocks = figures().blocks; blocks < max_blocks_)
        return start + count_to_text(blocks, "block") + " in use, and no memory for another one";
    return start +
           (max_blocks_ == 1 ? "its only block is"
                             : "all " + std::to_string(max_blocks_) + " blocks are") +
           " in use: drop an array or a buffer that has one";
}

bool SharedFixedPool::leaves_to_others(std::size_t bytes) const noexcept {
    // A pool that could have grown did not, because its source refused.
    return !fits(bytes) || blocks() == max_blocks_ || closed();
}

bool SharedFixedPool::try_release(void* block, std::size_t) noexcept {
    if (block == nullptr) return true;
    if (usable_size(block) == 0) return false;
    if (constructs_) {
        release_unused(static_cast<std::byte*>(block));
    } else {
        release(static_cast<std::byte*>(block));
    }
    return true;
}

std::byte* SharedFixedPool::try_reallocate(void* block, std::size_t bytes) noexcept {
    if (block == nullptr) return try_acquire(bytes);
    return fits(bytes) && usable_size(block) != 0 ? static_cast<std::byte*>(block) : nullptr;
}

}  // namespace numpool::threads
