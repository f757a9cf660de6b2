#pragma once

#include <span>
#include <string>

#include "base/error.hpp"
#include "bindings/python/initialised.hpp"
#include "bindings/python/topics.hpp"
#include "pools/slab/slab_figures.hpp"
#include "threads/lifecycle/pool.hpp"

/// A pool's Python object holds the pool by a handle: see threads/lifecycle/pool.hpp.
PYBIND11_DECLARE_HOLDER_TYPE(T, numpool::threads::PoolHandle<T>, true)

NUMPOOL_REQUIRE_INITIALISED(numpool::threads::Pool)

namespace numpool::bindings {

/// The C++ pool in a Python object of a pool's class or a subclass.
template <class SomePool>
SomePool& pool_in(PyObject* self) {
    auto* const instance = reinterpret_cast<py::detail::instance*>(self);
    // pybind11's layout for a class with one C++ base: faster than its look-up by type.
    void* const pool = instance->simple_layout ? instance->simple_value_holder[0] : nullptr;
    if (pool != nullptr) return *static_cast<SomePool*>(pool);
    return py::handle{self}.cast<SomePool&>();
}

/// The pool's Python object: the existing one, or a new one. None for null. The caller keeps the
/// pool alive during the call.
py::object object_of(threads::Pool* pool);

/// `numpool.PoolStats` with these figures, and with those of size classes and spans.
py::object stats_from(const threads::PoolFigures& figures, const py::object& classes = py::tuple{},
                      const py::object& spans = py::none{});

/// `numpool.ClassStats` with these figures.
py::object class_stats(const pools::ClassFigures& figures);

/// Adds functions to a class that Python calls directly: a call through pybind11 costs several
/// times as much.
void add_methods(py::handle type, std::span<PyMethodDef> methods);

/// `empty`, `zeros`, `full` and `array`, for a class of pools that NumPy can allocate from.
template <class SomePool>
void add_array_methods(py::handle type);

/// Throws Closed.
inline void require_open(const threads::Pool& pool) {
    if (pool.closed()) [[unlikely]]
        throw Closed{pool.closed_text()};
}
/// Throws InUse while other pools hold memory of this one.
void require_undrawn(const threads::Pool& pool);

/// A pool's name, from what Python gave for it.
std::string to_name(const py::object& name);

/// The address that an argument of `owns` or `owner` stands for: the memory of a Buffer, an array
/// or another exporter of bytes, or an int. Errors name the function.
const std::byte* address_in(const py::object& subject, const char* function);

}  // namespace numpool::bindings
