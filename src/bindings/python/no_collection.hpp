#pragma once

#include <Python.h>

namespace numpool::bindings {

#if PY_VERSION_HEX < 0x030c0000

/// Before 3.12 making an object may begin a collection, which may run any Python code. While this
/// lives, it does not.
class NoCollection {
  public:
    NoCollection() noexcept : was_on_{PyGC_Disable() != 0} {}
    NoCollection(const NoCollection&) = delete;
    NoCollection& operator=(const NoCollection&) = delete;
    ~NoCollection() {
        if (was_on_) PyGC_Enable();
    }

  private:
    bool was_on_;
};

#else

struct NoCollection {
    NoCollection() noexcept {}
};

#endif

}  // namespace numpool::bindings
