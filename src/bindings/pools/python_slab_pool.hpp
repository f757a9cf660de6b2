#pragma once

#include "bindings/python/python_pool.hpp"
#include "threads/slab/shared_slab_pool.hpp"

NUMPOOL_REQUIRE_INITIALISED(numpool::threads::SharedSlabPool)

namespace numpool::bindings {

using SlabPoolClass = py::class_<threads::SharedSlabPool, threads::Pool,
                                 threads::PoolHandle<threads::SharedSlabPool>>;

}  // namespace numpool::bindings
