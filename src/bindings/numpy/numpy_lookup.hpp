#pragma once

#include "bindings/python/topics.hpp"

namespace numpool::bindings {

/// `numpool.owner`.
py::object owner(const py::object& x);

/// `numpool.pool_of`.
py::object pool_of(const py::object& array);

/// `numpool.current`.
py::object current();

}  // namespace numpool::bindings
