#include "bindings/python/errors.hpp"

#include <unistd.h>

#include <exception>
#include <stdexcept>
#include <string>

#include "base/error.hpp"
#include "bindings/python/topics.hpp"

namespace numpool::bindings {
namespace {

/// The exception types. They belong to the module, which is never unloaded.
PyObject* pool_error = nullptr;
PyObject* pool_exhausted = nullptr;
PyObject* pool_closed = nullptr;
PyObject* stale_handle = nullptr;
PyObject* corruption_error = nullptr;

PyObject* add_error(py::module_& module, const char* name, const char* doc,
                    const py::tuple& bases) {
    const std::string full_name = std::string{"numpool."} + name;
    PyObject* const type = PyErr_NewExceptionWithDoc(full_name.c_str(), doc, bases.ptr(), nullptr);
    if (type == nullptr) throw py::error_already_set{};
    module.attr(name) = py::handle{type};
    return type;
}

/// Whether Python has already raised a MemoryError. pybind11's own exception then says only what it
/// could not make.
bool python_lacks_memory() noexcept {
    return PyErr_Occurred() != nullptr && PyErr_ExceptionMatches(PyExc_MemoryError);
}

/// Python chooses the subclass by the errno: FileNotFoundError, PermissionError, and others.
[[gnu::cold]] void raise_os_error(const FileRefused& error) {
    const auto arguments = py::reinterpret_steal<py::object>(
        Py_BuildValue("(iss)", error.code, error.what(), error.path.c_str()));
    if (arguments) PyErr_SetObject(PyExc_OSError, arguments.ptr());
}

void translate(const std::exception_ptr& exception) {
    try {
        std::rethrow_exception(exception);
    } catch (const BadArgument& error) {
        PyErr_SetString(PyExc_ValueError, error.what());
    } catch (const Exhausted& error) {
        PyErr_SetString(pool_exhausted, error.what());
    } catch (const FileRefused& error) {
        raise_os_error(error);
    } catch (const Closed& error) {
        PyErr_SetString(pool_closed, error.what());
    } catch (const InUse& error) {
        PyErr_SetString(PyExc_BufferError, error.what());
    } catch (const Stale& error) {
        PyErr_SetString(stale_handle, error.what());
    } catch (const Misused& error) {
        PyErr_SetString(corruption_error, error.what());
    } catch (const Corrupted& error) {
        PyErr_SetString(pool_error, error.what());
    } catch (const std::length_error&) {
        // A container that no memory could hold. pybind11 would call it a ValueError.
        PyErr_SetString(PyExc_MemoryError, "numpool: no memory is as large as what was asked for");
    } catch (const std::runtime_error&) {
        if (!python_lacks_memory()) throw;
    }
}

}  // namespace

void set_python_error() noexcept {
    try {
        try {
            throw;
        } catch (py::error_already_set& error) {
            error.restore();
        } catch (const py::builtin_exception& error) {
            if (!python_lacks_memory()) error.set_error();
        } catch (const std::bad_alloc&) {
            PyErr_NoMemory();
        } catch (...) {
            translate(std::current_exception());
        }
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    } catch (...) {
        PyErr_SetString(PyExc_RuntimeError, "numpool: an unknown C++ exception");
    }
}

void drop_with_gil(py::object& object) noexcept try {
    if (!object) return;
    const py::gil_scoped_acquire gil;
    object = {};
} catch (abi::__forced_unwind&) {
    hang_thread();
}

void hang_thread() noexcept {
    for (;;) pause();
}

void register_errors(py::module_& module) {
    const auto base = [](PyObject* type) { return py::reinterpret_borrow<py::object>(type); };
    pool_error =
        add_error(module, "PoolError",
                  "Base of numpool's own errors; raised itself when a pool's check finds damage.",
                  py::make_tuple(base(PyExc_Exception)));
    pool_exhausted = add_error(module, "PoolExhausted",
                               "The pool has no block left, or the system refused it memory.",
                               py::make_tuple(base(pool_error), base(PyExc_MemoryError)));
    pool_closed = add_error(module, "PoolClosed", "The pool was closed and takes no more requests.",
                            py::make_tuple(base(pool_error), base(PyExc_ValueError)));
    stale_handle = add_error(module, "StaleHandle",
                             "A handle that leads to no live block: it was freed, or belongs to "
                             "another pool.",
                             py::make_tuple(base(pool_error), base(PyExc_KeyError)));
    corruption_error = add_error(module, "CorruptionError",
                                 "A pool made with checks=True has found a memory bug of a user of "
                                 "its blocks.",
                                 py::make_tuple(base(pool_error)));
    // KeyError shows its text in quotes, as if it were a key.
    py::handle{stale_handle}.attr("__str__") = base(PyExc_BaseException).attr("__str__");
    py::register_exception_translator([](std::exception_ptr exception) {
        if (exception) translate(exception);
    });
}

}  // namespace numpool::bindings
