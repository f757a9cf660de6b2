#pragma once

#include "bindings/python/topics.hpp"

namespace numpool::bindings {

/// Adds `_Context` to the module: a context manager in whose block NumPy allocates from a pool.
///
/// It is written in C so that the exception of a signal handler never finds a block half begun.
/// CPython runs handlers between instructions of Python only, and none between the return of an
/// `__enter__` in C and the first instruction of its block.
void register_numpy_context(py::module_& module);

/// A capsule with a NumPy allocator on the pool. `fallback` is a pool, None, or "default"
/// for the default pool.
py::object handler_on(const py::object& pool, const py::object& fallback);

/// Gives the handlers that serve the process, and the default pool's, the functions for now: a
/// profile has begun or ended. A `_Context` does so when its block begins.
void renew_all_functions() noexcept;

}  // namespace numpool::bindings
