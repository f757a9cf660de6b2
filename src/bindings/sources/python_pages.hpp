#pragma once

#include "bindings/python/initialised.hpp"
#include "bindings/python/topics.hpp"
#include "pages/source/source_handle.hpp"

namespace numpool::bindings {

/// `numpool.Pages`: a page source, and its repr.
struct Pages {
    pages::SourceHandle source;
    std::string text;
};

}  // namespace numpool::bindings

NUMPOOL_REQUIRE_INITIALISED(numpool::bindings::Pages)
