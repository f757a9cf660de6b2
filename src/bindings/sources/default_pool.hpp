#pragma once

#include "threads/lifecycle/pool.hpp"

namespace numpool::bindings {

/// The pool that serves where no other is named. It is made at the first call and never destroyed,
/// since arrays are freed while the process exits. Throws Exhausted.
threads::Pool& default_pool();

/// Whether this is the default pool. Does not make it.
bool is_default_pool(const threads::Pool& pool) noexcept;

}  // namespace numpool::bindings
