#pragma once

#include "threads/lifecycle/pool.hpp"

namespace numpool::bindings {

/// The pool that serves where no other was asked for, made at the first call and never destroyed:
/// arrays are freed while the process exits. Throws Exhausted.
threads::Pool& default_pool();

/// Whether it is the one; asking does not make it.
bool is_default_pool(const threads::Pool& pool) noexcept;

}  // namespace numpool::bindings
