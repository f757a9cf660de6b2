#pragma once

#include "bindings/python/topics.hpp"

namespace numpool::bindings {

/// Adds `_Context` to the module: a context manager in whose block NumPy allocates from a pool.
///
/// CPython runs signal handlers between instructions of Python only, and none between the end of an
/// `__enter__` in C and its block. So an exception from one finds the block begun, or not begun.
void register_numpy_context(py::module_& module);

/// A capsule with a NumPy allocator on the pool. `...` stands for the fallback that nobody named.
py::object handler_on(const py::object& pool, const py::object& fallback);

}  // namespace numpool::bindings
