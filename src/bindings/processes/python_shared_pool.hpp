#pragma once

#include "bindings/python/python_pool.hpp"
#include "processes/pool/shared_pool.hpp"

NUMPOOL_REQUIRE_INITIALISED(numpool::processes::SharedPool)
