#pragma once

#include <functional>
#include <vector>

#include "bindings/python/topics.hpp"

namespace numpool::bindings {

/// What the local variables of the frames that run now hold, this thread's newest frame first, for
/// as long as `goes_on` says so. It makes no copy of them that a frame would keep. Without a GIL
/// other threads change theirs meanwhile, so only this thread's are looked at. Throws
/// std::bad_alloc.
std::vector<py::object> locals_of_running_frames(const std::function<bool()>& goes_on);

}  // namespace numpool::bindings
