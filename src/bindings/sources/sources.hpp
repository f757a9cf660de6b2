#pragma once

#include "bindings/python/topics.hpp"
#include "pages/source/source_handle.hpp"

namespace numpool::bindings {

/// Where a pool gets its pages: from the pool or the Pages that Python named, or `otherwise` where
/// that is None. It will ask for no more than `most_align`. Throws a type_error for what is
/// neither; BadArgument for a pool that can't be a source; Closed.
pages::SourceHandle to_source(const py::object& source, const pages::SourceHandle& otherwise,
                              std::size_t most_align = 0);

/// The default pool as a source: its pages are warm, and a short-lived pool costs no system call.
pages::SourceHandle default_source();

}  // namespace numpool::bindings
