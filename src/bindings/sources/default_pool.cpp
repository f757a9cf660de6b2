#include "bindings/sources/default_pool.hpp"

#include <atomic>

#include "bindings/python/checks.hpp"
#include "threads/slab/shared_slab_pool.hpp"

namespace numpool::bindings {
namespace {

std::atomic<const threads::Pool*> made = nullptr;

threads::PoolHandle<threads::SharedSlabPool> make() {
    threads::SharedSlabPoolOptions options;
    options.name = "default";
    auto pool = threads::SharedSlabPool::create(options);
    if (const auto checks = to_checks(py::none{})) check_blocks(*pool, *checks);
    made = pool.get();
    return pool;
}

}  // namespace

threads::Pool& default_pool() {
    static const auto* const handle = new threads::PoolHandle<threads::SharedSlabPool>{make()};
    return **handle;
}

bool is_default_pool(const threads::Pool& pool) noexcept {
    return made == &pool;
}

}  // namespace numpool::bindings
