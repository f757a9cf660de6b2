#pragma once

#include <cstdlib>
#include <string>

#include "pages/source/unlinked_file.hpp"

/// A folder for files of tests: TMPDIR or /tmp. Where that is a tmpfs, use it forced.
inline std::string disk_folder() {
    const char* const named = std::getenv("TMPDIR");
    return named != nullptr ? named : "/tmp";
}
