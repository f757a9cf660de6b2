#pragma once

#include <string>

namespace numpool::pages {

/// The text of a small file of the kernel; empty if it cannot be read.
///
/// This does not use the standard library's streams, because they load half a megabyte of code: a
/// fiftieth of a small program's memory.
std::string read_system_file(const char* path);

}  // namespace numpool::pages
