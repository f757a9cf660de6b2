#pragma once

#include <string>

#include "pages/source/source_handle.hpp"

namespace numpool::threads {

/// New FilePages, which are right after a fork, too. The pools that draw on them keep them. Throws
/// as FilePages does.
pages::SourceHandle pages_in_file(const std::string& folder, bool forced);

}  // namespace numpool::threads
