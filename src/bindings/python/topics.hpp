#pragma once

#include <pybind11/pybind11.h>

namespace py = pybind11;

/// One function for each topic; `module.cpp` calls each once.
namespace numpool::bindings {

void register_errors(py::module_& module);
void register_sizes(py::module_& module);
void register_checks(py::module_& module);
void register_buffer(py::module_& module);
void register_borrowed_buffer(py::module_& module);
void register_pool(py::module_& module);
void register_fixed_pool(py::module_& module);
void register_numpy(py::module_& module);
void register_profile(py::module_& module);
void register_realtime(py::module_& module);
void register_budget(py::module_& module);
void register_pages(py::module_& module);
void register_slab_pool(py::module_& module);
void register_arena(py::module_& module);
void register_buddy_pool(py::module_& module);

void register_handle_pool(py::module_& module);
void register_reserve_pool(py::module_& module);
void register_shared_pool(py::module_& module);
void register_references(py::module_& module);
void register_c_api(py::module_& module);

/// From now on a forked child finds pybind11's locks unlocked.
void free_bindings_locks_after_fork();

}  // namespace numpool::bindings
