#pragma once

#include "observe/profile.hpp"

namespace numpool::bindings {

/// Python's frames, for a profile. No function of these runs Python code or drops the last
/// reference to an object. `keep` keeps code objects as long as the process.
observe::Surroundings python_surroundings() noexcept;

}  // namespace numpool::bindings
