#pragma once

#include "bindings/python/numpy_api.hpp"
#include "threads/slab/allocator_functions.hpp"

namespace numpool::bindings {

/// NumPy's table of the functions for a context, `threads::AllocatorFunctions`. NumPy calls them
/// from any thread, and realloc even without the GIL.
template <class Context>
PyDataMemAllocator numpy_functions(Context* context) noexcept {
    const bool numpy_1 = PyArray_GetNDArrayCFeatureVersion() < NPY_2_0_API_VERSION;
    const threads::AllocatorTable table = numpy_1 ? threads::allocator_functions<true>(context)
                                                  : threads::allocator_functions<false>(context);
    return {table.context, table.malloc, table.calloc, table.realloc, table.free};
}

}  // namespace numpool::bindings
