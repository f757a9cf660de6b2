#pragma once

/// numpool for C++: everything that is public. What is not included here is not installed.
///
///     numpool::SlabPool pool{{.limit = 64 << 20, .name = "frames"}};
///     numpool::memory_resource resource{pool};
///     std::pmr::vector<float> frame(1'000'000, &resource);

#include "numpool/memory_resource.hpp"
#include "numpool/pools.hpp"

// The build writes this one, beside copies of the others.
#include <numpool/version.hpp>
