#include "threads/lifecycle/block_layer.hpp"

#include "threads/lifecycle/pool.hpp"

namespace numpool::threads {

ByteSource* source_of(Pool& pool) noexcept {
    BlockLayer* const layer = pool.layer();
    return layer != nullptr ? layer : dynamic_cast<ByteSource*>(&pool);
}

bool is_in_pool_or_layer(const Pool& pool, const std::byte* address) noexcept {
    if (pool.owns(address)) return true;
    const BlockLayer* const layer = pool.layer();
    return layer != nullptr && layer->contains(address);
}

}  // namespace numpool::threads
