#include "bindings/default_pool.hpp"

#include "threads/stand_in_slab_pool.hpp"

namespace numpool::bindings {

threads::Pool& default_pool() {
    static auto* const pool = new threads::StandInSlabPool;
    return *pool;
}

}  // namespace numpool::bindings
