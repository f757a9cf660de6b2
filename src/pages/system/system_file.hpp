#pragma once

#include <string>

namespace numpool::pages {

/// What a small file of the kernel's says; nothing where it cannot be read.
///
/// Not by the standard library's streams: those bring in half a megabyte of its code, which would
/// be a fiftieth of a small program's memory.
std::string read_system_file(const char* path);

}  // namespace numpool::pages
