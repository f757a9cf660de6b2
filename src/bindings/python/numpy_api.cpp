#define NUMPOOL_IMPORTS_NUMPY
#include "bindings/python/numpy_api.hpp"

#include <atomic>

namespace numpool::bindings {

/// Not a static local's initialiser: importing may pass the GIL on, and a thread that then waits
/// for the initialisation would hold it for ever.
bool import_numpy() {
    static std::atomic<bool> imported{false};
    if (!imported.load(std::memory_order_acquire)) {
        // Where there is no NumPy, its own function names a module that only old ones have.
        const auto numpy = py::reinterpret_steal<py::object>(PyImport_ImportModule("numpy"));
        if (!numpy || _import_array() != 0) return false;
        imported.store(true, std::memory_order_release);
    }
    return true;
}

void require_numpy() {
    if (!import_numpy()) throw py::error_already_set{};
}

}  // namespace numpool::bindings
