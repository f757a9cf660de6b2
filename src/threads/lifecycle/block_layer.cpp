#include "threads/lifecycle/block_layer.hpp"

#include "threads/lifecycle/pool.hpp"

namespace numpool::threads {

ByteSource* source_of(Pool& pool) noexcept {
    BlockLayer* const layer = pool.layer();
    return layer != nullptr ? layer : dynamic_cast<ByteSource*>(&pool);
}

}  // namespace numpool::threads
