#include "pools/slab/record_arena.hpp"

#include <new>

#include "base/size.hpp"

namespace numpool::pools {

void* RecordArena::allocate(std::size_t bytes) noexcept {
    const std::size_t size = round_up(bytes, 8);
    if (size > chunk_bytes - used_) {
        try {
            chunks_.reserve(chunks_.size() + 1);
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
        const pages::Extent chunk = source_.map(chunk_bytes, 1);
        if (!chunk) return nullptr;
        chunks_.push_back(chunk);
        used_ = 0;
    }
    void* const record = chunks_.back().start + used_;
    used_ += size;
    return record;
}

void RecordArena::clear() noexcept {
    for (const pages::Extent chunk : chunks_) source_.unmap(chunk);
    chunks_.clear();
    used_ = chunk_bytes;
}

}  // namespace numpool::pools
