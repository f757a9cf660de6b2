#include "bindings/python/classes.hpp"
#include "bindings/python/topics.hpp"

#if defined(__clang__)
constexpr const char* compiler = "Clang " __clang_version__;
#else
constexpr const char* compiler = "GCC " __VERSION__;
#endif

namespace {

bool in_main_interpreter() noexcept {
    return PyInterpreterState_Get() == PyInterpreterState_Main();
}

constexpr const char* only_main =
    "numpool works in the main interpreter only, as NumPy does: import it there, or use processes "
    "where each part of a program needs an interpreter of its own";

}  // namespace

PYBIND11_MODULE(_core_in_main, module, py::mod_gil_not_used()) {
    using namespace numpool::bindings;
    // From CPython 3.13 on, PyInit__core runs in the main interpreter and this in the importing
    // one.
    if (!in_main_interpreter()) throw py::import_error{only_main};
    // Here, since importlib.metadata would load a dozen modules to look the version up.
    module.attr("__version__") = NUMPOOL_VERSION;
    module.attr("_compiler") = compiler;
    module.doc() = "The extension of numpool: its C++ core, wired to Python.";
    // Docstrings begin with signatures in Python's own form, which inspect and IPython read.
    py::options options;
    options.disable_function_signatures();
    // pybind11 names classes and functions after this attribute of their module.
    module.attr("__module__") = "numpool";
    free_bindings_locks_after_fork();
    prepare_classes();
    register_errors(module);
    register_sizes(module);
    register_buffer(module);
    register_borrowed_buffer(module);
    register_checks(module);
    register_pages(module);
    register_pool(module);
    register_fixed_pool(module);
    register_slab_pool(module);
    register_arena(module);
    register_buddy_pool(module);
    register_handle_pool(module);
    register_reserve_pool(module);
    register_shared_pool(module);
    register_references(module);
    register_numpy(module);
    register_c_api(module);
    register_budget(module);
    register_profile(module);
    register_realtime(module);
    py::delattr(module, "__module__");
}

/// An import calls this first. Before CPython 3.12, pybind11's own function waits for ever in
/// another interpreter, for the GIL that its caller holds.
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
    if (in_main_interpreter()) return PyInit__core_in_main();
    PyErr_SetString(PyExc_ImportError, only_main);
    return nullptr;
}
