/// `empty` and the like of pools of any size: arrays that own their data through the pool, as
/// NumPy's own do through malloc, so that NumPy may resize them and reuse them as temporaries.

#include <string>

#include "base/error.hpp"
#include "base/size_text.hpp"
#include "bindings/numpy_handler.hpp"
#include "bindings/pool.hpp"

namespace numpool::bindings {
namespace {

using threads::Pool;
using threads::PoolFigures;

/// Has NumPy allocate from the pool, and from nothing else, while it lives.
class AllocatingFrom {
  public:
    explicit AllocatingFrom(Pool& pool)
        : before_{PyDataMem_SetHandler(NumpyHandler::capsule(pool, nullptr).ptr())} {
        if (before_ == nullptr) throw py::error_already_set{};
    }
    AllocatingFrom(const AllocatingFrom&) = delete;
    AllocatingFrom& operator=(const AllocatingFrom&) = delete;
    ~AllocatingFrom() {
        const py::error_scope passing;
        Py_XDECREF(PyDataMem_SetHandler(before_));
        Py_DECREF(before_);
    }

  private:
    PyObject* before_;
};

std::string refusal(const Pool& pool, const std::string& what) {
    const PoolFigures figures = pool.figures();
    std::string text = pool.title() + ": " + what + " " + size_to_text(figures.in_use);
    if (figures.limit != PoolFigures::no_limit)
        text += " of a limit of " + size_to_text(figures.limit);
    return text + " in use";
}

void require_open(const Pool& pool) {
    if (pool.closed()) throw Closed{pool.title() + " is closed and takes no more requests"};
}

/// An array that this function of NumPy makes, its data in the pool.
py::object make(Pool& pool, const char* function, const py::args& args, const py::kwargs& kwargs) {
    require_numpy();
    require_open(pool);
    const py::object call = py::module_::import("numpy").attr(function);
    try {
        const AllocatingFrom allocating{pool};
        return call(*args, **kwargs);
    } catch (py::error_already_set& error) {
        if (!error.matches(PyExc_MemoryError)) throw;
        require_open(pool);  // Another thread may have closed it meanwhile.
        throw Exhausted{refusal(pool, std::string{py::str(error.value())} + ";")};
    }
}

/// Adds a method as a pybind11 class would.
template <class Function, class... Extra>
void add_method(py::handle type, const char* name, Function function, const Extra&... extra) {
    type.attr(name) = py::cpp_function{function, py::name(name), py::is_method(type),
                                       py::sibling(py::getattr(type, name, py::none())), extra...};
}

}  // namespace

void add_array_methods(py::handle type) {
    using py::literals::operator""_a;
    const py::object float_type = py::type::of(py::float_{0.0});
    add_method(
        type, "empty",
        [](Pool& self, const py::object& shape, const py::object& dtype) {
            return make(self, "empty", py::make_tuple(shape, dtype), {});
        },
        "shape"_a, "dtype"_a = float_type, "An ndarray like numpy.empty's, its data in this pool.");
    add_method(
        type, "zeros",
        [](Pool& self, const py::object& shape, const py::object& dtype) {
            return make(self, "zeros", py::make_tuple(shape, dtype), {});
        },
        "shape"_a, "dtype"_a = float_type,
        "An ndarray like numpy.zeros's, its data in this pool; pages known to be zero are not "
        "written.");
    add_method(
        type, "full",
        [](Pool& self, const py::object& shape, const py::object& fill_value,
           const py::object& dtype) {
            return make(self, "full", py::make_tuple(shape, fill_value, dtype), {});
        },
        "shape"_a, "fill_value"_a, "dtype"_a = py::none(),
        "An ndarray like numpy.full's, its data in this pool.");
    add_method(
        type, "array",
        [](Pool& self, const py::object& object, const py::object& dtype) {
            return make(self, "array", py::make_tuple(object, dtype), {});
        },
        "object"_a, "dtype"_a = py::none(),
        "An ndarray like numpy.array's, a copy of the object with its data in this pool.");
}

}  // namespace numpool::bindings
