#pragma once

#include "bindings/python/python_pool.hpp"
#include "threads/buddy/shared_buddy_pool.hpp"

NUMPOOL_REQUIRE_INITIALISED(numpool::threads::SharedBuddyPool)
