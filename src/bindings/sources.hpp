#pragma once

#include "bindings/topics.hpp"
#include "pages/source_handle.hpp"

namespace numpool::bindings {

/// Where a pool gets its pages: from the pool that Python named. Throws a type_error for what is no
/// pool; BadArgument for one that can't be a source; Closed.
pages::SourceHandle to_source(const py::object& source);

/// The default pool as a source: its pages are warm, and a short-lived pool costs no system call.
pages::SourceHandle default_source();

}  // namespace numpool::bindings
