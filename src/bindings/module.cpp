#include "bindings/python/classes.hpp"
#include "bindings/python/topics.hpp"

#if defined(__clang__)
constexpr const char* compiler = "Clang " __clang_version__;
#else
constexpr const char* compiler = "GCC " __VERSION__;
#endif

PYBIND11_MODULE(_core, module, py::mod_gil_not_used()) {
    using namespace numpool::bindings;
    // Kept here, for looking a package's version up loads a dozen modules of the standard library.
    module.attr("__version__") = NUMPOOL_VERSION;
    module.attr("_compiler") = compiler;
    module.doc() = "The extension of numpool: its C++ core, wired to Python.";
    // Docstrings begin with signatures in Python's own form, which inspect and IPython read.
    py::options options;
    options.disable_function_signatures();
    free_bindings_locks_after_fork();
    prepare_classes();
    register_errors(module);
    register_sizes(module);
    register_buffer(module);
    register_borrowed_buffer(module);
    register_pages(module);
    register_pool(module);
    register_fixed_pool(module);
    register_slab_pool(module);
    register_arena(module);
    register_buddy_pool(module);
    register_handle_pool(module);
    register_reserve_pool(module);
    register_references(module);
    register_numpy(module);
}
