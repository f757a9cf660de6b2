#pragma once

/// numpool for C++: all public names. Only the headers that this one includes are installed.
///
///     numpool::SlabPool pool{{.limit = 64 << 20, .name = "frames"}};
///     numpool::memory_resource resource{pool};
///     std::pmr::vector<float> frame(1'000'000, &resource);

#include "numpool/memory_resource.hpp"
#include "numpool/pools.hpp"

// The build generates this header.
#include <numpool/version.hpp>
