#pragma once

#include "bindings/python/initialised.hpp"
#include "bindings/python/topics.hpp"
#include "pages/source/source_handle.hpp"

namespace numpool::bindings {

/// What Python calls `numpool.Pages`: a page source and what it was asked to be.
struct Pages {
    pages::SourceHandle source;
    std::string text;
};

}  // namespace numpool::bindings

NUMPOOL_REQUIRE_INITIALISED(numpool::bindings::Pages)
