#pragma once

#include <string>

#include "bindings/python/initialised.hpp"
#include "bindings/python/topics.hpp"
#include "pages/source/source_handle.hpp"

namespace numpool::bindings {

/// `numpool.Pages`: a page source, and its repr.
struct Pages {
    pages::SourceHandle source;
    std::string text;
    /// The folder of their file; empty if they lie in memory.
    std::string folder = {};
    bool forced = false;
};

}  // namespace numpool::bindings

NUMPOOL_REQUIRE_INITIALISED(numpool::bindings::Pages)
