#include "bindings/topics.hpp"

PYBIND11_MODULE(_core, module, py::mod_gil_not_used()) {
    using namespace numpool::bindings;
    module.doc() = "The extension of numpool: its C++ core, wired to Python.";
    register_errors(module);
    register_sizes(module);
    register_buffer(module);
    register_borrowed_buffer(module);
    register_pool(module);
    register_fixed_pool(module);
    register_slab_pool(module);
    register_arena(module);
    register_numpy(module);
}
