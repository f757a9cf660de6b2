/// `empty` and the like, as methods of pools. These arrays own their data, as NumPy's own arrays
/// do, with the pool in place of malloc. So NumPy may resize them and reuse them as temporaries.

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <type_traits>

#include "bindings/numpy/numpy_handler.hpp"
#include "bindings/numpy/python_budget.hpp"
#include "bindings/pools/python_arena.hpp"
#include "bindings/pools/python_buddy_pool.hpp"
#include "bindings/pools/python_slab_pool.hpp"
#include "bindings/processes/python_shared_pool.hpp"
#include "bindings/python/errors.hpp"

namespace numpool::bindings {
namespace {

using threads::Pool;

/// While it lives, NumPy allocates through this handler in this context.
class AllocatingFrom {
  public:
    explicit AllocatingFrom(const py::object& handler) : before_{PyDataMem_GetHandler()} {
        if (before_ == nullptr) throw py::error_already_set{};
        PyObject* const replaced = PyDataMem_SetHandler(handler.ptr());
        if (replaced == nullptr) {
            // CPython may have set its variable nevertheless.
            put_back();
            throw py::error_already_set{};
        }
        Py_DECREF(replaced);
    }
    AllocatingFrom(const AllocatingFrom&) = delete;
    AllocatingFrom& operator=(const AllocatingFrom&) = delete;
    ~AllocatingFrom() { put_back(); }

  private:
    void put_back() noexcept {
        const py::error_scope passing;
        PyObject* replaced = PyDataMem_SetHandler(before_);
        // CPython may lack memory once. NumPy must not keep the pool because of that.
        if (replaced == nullptr) replaced = PyDataMem_SetHandler(before_);
        Py_XDECREF(replaced);
        Py_DECREF(before_);
    }

    PyObject* before_;
};

/// A function of NumPy that makes arrays, as a method of pools: its name and its first parameters.
/// All of those but the last must be given.
struct Maker {
    static constexpr Py_ssize_t most = 3;

    const char* name;
    std::array<const char*, most> parameters;
    /// NumPy's own; null until the first call. It lives as long as the process.
    std::atomic<PyObject*> function{};

    Py_ssize_t count() const noexcept { return parameters[most - 1] == nullptr ? 2 : 3; }
    std::string error(const std::string& what) const { return std::string{name} + "() " + what; }
};

constinit Maker empty{"empty", {"shape", "dtype", nullptr}};
constinit Maker zeros{"zeros", {"shape", "dtype", nullptr}};
constinit Maker full{"full", {"shape", "fill_value", "dtype"}};
constinit Maker array{"array", {"object", "dtype", nullptr}};
constinit Maker ones{"ones", {"shape", "dtype", nullptr}};
constinit Maker empty_like{"empty_like", {"prototype", "dtype", nullptr}};
constinit Maker zeros_like{"zeros_like", {"a", "dtype", nullptr}};
constinit Maker ones_like{"ones_like", {"a", "dtype", nullptr}};
constinit Maker full_like{"full_like", {"a", "fill_value", "dtype"}};

PyObject* function_of(Maker& maker) {
    PyObject* known = maker.function.load(std::memory_order_acquire);
    if (known != nullptr) return known;
    py::object found = py::module_::import("numpy").attr(maker.name);
    if (maker.function.compare_exchange_strong(known, found.ptr())) return found.release().ptr();
    return known;
}

/// Arguments as Python passes them, in the order of the parameters.
struct Arguments {
    std::array<PyObject*, Maker::most> values{};
    Py_ssize_t count = 0;

    Arguments(const Maker& maker, PyObject* const* given, Py_ssize_t by_place, PyObject* names) {
        if (by_place > maker.count()) {
            throw py::type_error{maker.error("takes " + std::to_string(maker.count()) +
                                             " arguments, not " + std::to_string(by_place))};
        }
        std::copy_n(given, by_place, values.begin());
        count = by_place;
        const Py_ssize_t by_name = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
        for (Py_ssize_t i = 0; i < by_name; ++i)
            place(maker, PyTuple_GET_ITEM(names, i), given[by_place + i]);
        for (Py_ssize_t i = 0; i < maker.count() - 1; ++i) {
            if (values[i] == nullptr)
                throw py::type_error{maker.error("needs '") + maker.parameters[i] + "'"};
        }
    }

  private:
    void place(const Maker& maker, PyObject* name, PyObject* value) {
        for (Py_ssize_t i = 0; i < maker.count(); ++i) {
            if (PyUnicode_CompareWithASCIIString(name, maker.parameters[i]) != 0) continue;
            if (values[i] != nullptr)
                throw py::type_error{maker.error("got '") + maker.parameters[i] + "' twice"};
            values[i] = value;
            count = std::max(count, i + 1);
            return;
        }
        throw py::type_error{maker.error("takes no '" + std::string{py::str(name)} + "'")};
    }
};

template <class SomePool, Maker& maker>
PyObject* make(PyObject* self, PyObject* const* given, Py_ssize_t count, PyObject* names) {
    return guarded<PyObject*>(nullptr, [&] {
        Pool& pool = pool_in<SomePool>(self);
        require_numpy();
        require_open(pool);
        const Arguments arguments{maker, given, count, names};
        PyObject* const function = function_of(maker);
        const py::object handler = NumpyHandler::capsule(pool, {});
        try {
            const AllocatingFrom allocating{handler};
            auto made = py::reinterpret_steal<py::object>(calling_python([&] {
                return PyObject_Vectorcall(function, arguments.values.data(),
                                           static_cast<std::size_t>(arguments.count), nullptr);
            }));
            if (!made) throw py::error_already_set{};
            if constexpr (std::is_base_of_v<RemembersArrays, SomePool>) {
                const auto note =
                    std::make_shared<const ArrayNote>(reinterpret_cast<PyArrayObject*>(made.ptr()));
                NumpyHandler::in(handler.ptr())->keep(note);
                pool_in<SomePool>(self).recent_arrays().add(note);
            }
            return made.release().ptr();
        } catch (py::error_already_set& error) {
            // The user's code (an object's __array__) may raise a MemoryError of its own.
            if (!error.matches(PyExc_MemoryError)) throw;
            const std::string refusal = NumpyHandler::in(handler.ptr())->pop_refusal();
            if (refusal.empty()) throw;
            require_open(pool);  // Another thread may have closed it meanwhile.
            throw Exhausted{refusal + " (" + std::string{py::str(error.value())} + ")"};
        }
    });
}

template <class SomePool, Maker& maker>
constexpr PyMethodDef method(const char* doc) {
    return {maker.name,
            reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&make<SomePool, maker>)),
            METH_FASTCALL | METH_KEYWORDS, doc};
}

}  // namespace

template <class SomePool>
void add_array_methods(py::handle type) {
    static PyMethodDef methods[] = {
        method<SomePool, empty>("empty($self, /, shape, dtype=None)\n--\n\n"
                                "An ndarray like numpy.empty's, its data in this pool."),
        method<SomePool, zeros>("zeros($self, /, shape, dtype=None)\n--\n\n"
                                "An ndarray like numpy.zeros's, its data in this pool; pages known "
                                "to be zero are not\nwritten."),
        method<SomePool, ones>("ones($self, /, shape, dtype=None)\n--\n\n"
                               "An ndarray like numpy.ones's, its data in this pool."),
        method<SomePool, full>("full($self, /, shape, fill_value, dtype=None)\n--\n\n"
                               "An ndarray like numpy.full's, its data in this pool."),
        method<SomePool, array>("array($self, /, object, dtype=None)\n--\n\n"
                                "An ndarray like numpy.array's, a copy of the object with its data "
                                "in this pool."),
        method<SomePool, empty_like>("empty_like($self, /, prototype, dtype=None)\n--\n\n"
                                     "An ndarray like numpy.empty_like's, its data in this pool."),
        method<SomePool, zeros_like>("zeros_like($self, /, a, dtype=None)\n--\n\n"
                                     "An ndarray like numpy.zeros_like's, its data in this pool."),
        method<SomePool, ones_like>("ones_like($self, /, a, dtype=None)\n--\n\n"
                                    "An ndarray like numpy.ones_like's, its data in this pool."),
        method<SomePool, full_like>("full_like($self, /, a, fill_value, dtype=None)\n--\n\n"
                                    "An ndarray like numpy.full_like's, its data in this pool."),
    };
    add_methods(type, methods);
}

template void add_array_methods<threads::SharedSlabPool>(py::handle type);
template void add_array_methods<threads::SharedBuddyPool>(py::handle type);
template void add_array_methods<Arena>(py::handle type);
template void add_array_methods<processes::SharedPool>(py::handle type);
template void add_array_methods<Budget>(py::handle type);

}  // namespace numpool::bindings
