#pragma once

#include <optional>

#include "bindings/python/topics.hpp"
#include "pages/source/source_handle.hpp"

namespace numpool::bindings {

/// A pool's page source, from its `source` argument: a pool, Pages, or None for `otherwise`. The
/// pool will request no alignment above `most_align`. Throws a type_error for other types,
/// BadArgument for a pool that can't be a source, and Closed.
pages::SourceHandle to_source(const py::object& source, const pages::SourceHandle& otherwise,
                              std::size_t most_align = 0);

/// A slab pool's page source, from its `source` argument: Pages of a file, or None for an empty
/// result, because the pool then has its own. Throws a type_error or BadArgument for other objects.
std::optional<pages::SourceHandle> to_file_source(const py::object& source);

/// The default pool as a source. Its pages are often warm, so a short-lived pool needs no system
/// call.
pages::SourceHandle default_source();

}  // namespace numpool::bindings
