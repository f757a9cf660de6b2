#pragma once

#include "bindings/python/python_pool.hpp"
#include "bindings/python/topics.hpp"

namespace numpool::bindings {

/// `numpool.owner`.
py::object owner(const py::object& x);

/// `numpool.pool_of`.
py::object pool_of(const py::object& array);

/// `numpool.current`.
py::object current();

/// `_counts_against`: whether an array that owns its data has it from this pool, or from one whose
/// blocks count against this one.
bool counts_against(const py::object& array, threads::Pool& pool);

/// `_age`: the seconds since an array's memory was acquired. None where that is not known: only
/// budgets know it, and only of large arrays.
py::object age(const py::object& array);

}  // namespace numpool::bindings
