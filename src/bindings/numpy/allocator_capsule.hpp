#pragma once

#include <memory>

#include "bindings/python/numpy_api.hpp"
#include "threads/slab/allocator_functions.hpp"

namespace numpool::bindings {

/// The allocator that NumPy uses in this context, and the capsule that keeps it alive.
struct AllocatorHere {
    py::object capsule;
    threads::AllocatorTable table;

    AllocatorHere();
};

/// A capsule for NumPy with these functions. It keeps `owner` and the capsule `before` alive, and
/// so do the arrays that the functions serve.
py::object allocator_capsule(const threads::AllocatorTable& table,
                             std::shared_ptr<const void> owner, const py::object& before);

}  // namespace numpool::bindings
