#include "threads/checked/guard_table.hpp"

#include <algorithm>
#include <cstring>

#include "base/size.hpp"
#include "pages/source/guarded_pages.hpp"

namespace numpool::threads {

void GuardedBlock::open(pages::Extent extent, std::byte* start, std::size_t bytes, const char* pool,
                        SourceLine acquired) noexcept {
    extent_ = extent;
    start_ = start;
    bytes_ = bytes;
    const std::size_t length = std::min(std::strlen(pool), pool_.size() - 1);
    std::memcpy(pool_.data(), pool, length);
    pool_[length] = '\0';
    acquired_ = acquired;
    released_.store(nullptr, std::memory_order_relaxed);
    shut_.store(false, std::memory_order_relaxed);
    known_.store(true, std::memory_order_release);
}

bool GuardedBlock::shut(SourceLine released) noexcept {
    // First, so that a fault finds it.
    released_.store(released, std::memory_order_relaxed);
    shut_.store(true, std::memory_order_release);
    if (pages::shut_guarded(extent_)) {
        GuardTable::instance().live_bytes_.fetch_sub(bytes_, std::memory_order_relaxed);
        return true;
    }
    shut_.store(false, std::memory_order_release);
    return false;
}

void GuardedBlock::end() noexcept {
    if (!is_shut()) GuardTable::instance().live_bytes_.fetch_sub(bytes_, std::memory_order_relaxed);
    known_.store(false, std::memory_order_release);
    pages::unmap_guarded(extent_);
    taken_.store(false, std::memory_order_release);
}

GuardTable& GuardTable::instance() {
    static auto* const table = new GuardTable;
    return *table;
}

GuardedBlock* GuardTable::add(std::size_t bytes, std::size_t align, Place place, const char* pool,
                              SourceLine acquired) noexcept {
    const auto free = std::find_if(blocks_.begin(), blocks_.end(), [](GuardedBlock& block) {
        return !block.taken_.load(std::memory_order_relaxed) &&
               !block.taken_.exchange(true, std::memory_order_acquire);
    });
    if (free == blocks_.end()) return nullptr;
    const std::size_t before = live_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    const pages::Extent extent =
        before + bytes <= most_bytes ? pages::map_guarded(bytes) : pages::Extent{};
    if (!extent) {
        live_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
        free->taken_.store(false, std::memory_order_release);
        return nullptr;
    }
    // An extent starts and ends at multiples of a page, and so of `align`.
    const std::size_t room = round_down(extent.bytes - bytes, align);
    std::byte* const start = place == Place::at_the_end ? extent.start + room : extent.start;
    free->open(extent, start, bytes, pool, acquired);
    return &*free;
}

const GuardedBlock* GuardTable::find(const void* address) const noexcept {
    for (const GuardedBlock& block : blocks_) {
        if (block.known_.load(std::memory_order_acquire) &&
            pages::is_in_guarded(block.extent_, address))
            return &block;
    }
    return nullptr;
}

}  // namespace numpool::threads
