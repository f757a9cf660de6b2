#pragma once

#include "bindings/pool.hpp"
#include "threads/shared_buddy_pool.hpp"

NUMPOOL_REQUIRE_INITIALISED(numpool::threads::SharedBuddyPool)
