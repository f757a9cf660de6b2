#define NUMPOOL_IMPORTS_NUMPY
#include "bindings/python/numpy_api.hpp"

#include <atomic>

namespace numpool::bindings {

/// Not a static local's initialiser: an import may release the GIL, and another thread would wait
/// for the initialisation while it holds the GIL, for ever.
bool import_numpy() {
    static std::atomic<bool> imported{false};
    if (!imported.load(std::memory_order_acquire)) {
        // If NumPy is missing, the error of `_import_array` names a module of old versions only.
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
