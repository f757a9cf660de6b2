#pragma once

#include "bindings/python/topics.hpp"

// After Python.h. One table of NumPy's functions for the whole extension, filled by `import_numpy`.
#define PY_ARRAY_UNIQUE_SYMBOL numpool_numpy_api
#ifndef NUMPOOL_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

namespace numpool::bindings {

/// Imports NumPy at the first call; its API works from then on. False with a Python error where
/// that fails.
bool import_numpy();

/// Like `import_numpy`, but throws error_already_set.
void require_numpy();

}  // namespace numpool::bindings
