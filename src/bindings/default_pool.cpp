#include "bindings/default_pool.hpp"

#include "threads/shared_slab_pool.hpp"

namespace numpool::bindings {

threads::Pool& default_pool() {
    static const auto* const handle = [] {
        threads::SharedSlabPoolOptions options;
        options.name = "default";
        return new threads::PoolHandle<threads::SharedSlabPool>{
            threads::SharedSlabPool::create(options)};
    }();
    return **handle;
}

}  // namespace numpool::bindings
