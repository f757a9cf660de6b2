#include "bindings/python/classes.hpp"

#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "bindings/python/errors.hpp"
#include "bindings/python/no_collection.hpp"

namespace numpool::bindings {
namespace {

/// The `__new__` of all classes. Python calls it without pybind11, so no exception may leave it.
PyObject* new_instance(PyTypeObject* type, PyObject*, PyObject*) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const NoCollection no_collection;
        if (py::detail::all_type_info(type).size() != 1) {
            throw py::type_error{std::string{"cannot create objects of "} + type->tp_name +
                                 ": it is no class of numpool's"};
        }
        PyObject* const self = type->tp_alloc(type, 0);
        if (self != nullptr) reinterpret_cast<py::detail::instance*>(self)->allocate_layout();
        return self;
    });
}

/// The `tp_alloc` of all classes that this extension makes. pybind11 calls it and does not check
/// for null, so this throws.
PyObject* allocate(PyTypeObject* type, Py_ssize_t count) {
    PyObject* const self = PyType_GenericAlloc(type, count);
    if (self == nullptr) throw py::error_already_set{};
    return self;
}

/// help() shows what is pybind11's beside each class.
void name_plainly(py::handle type, const char* name) {
    type.attr("__module__") = "numpool._core";
    type.attr("__name__") = name;
    type.attr("__qualname__") = name;
}

/// Without the module: "FixedPool".
const char* name_of(const PyTypeObject* type) noexcept {
    const char* const dot = std::strrchr(type->tp_name, '.');
    return dot == nullptr ? type->tp_name : dot + 1;
}

}  // namespace

void throw_made_meanwhile(PyObject* self) {
    PyErr_Format(PyExc_RuntimeError,
                 "%s.__init__() was called again by one of its own arguments: the object stays as "
                 "that call made it",
                 name_of(Py_TYPE(self)));
    throw py::error_already_set{};
}

void prepare_classes() {
    auto* const base = reinterpret_cast<PyTypeObject*>(py::detail::get_internals().instance_base);
    base->tp_new = new_instance;
    base->tp_alloc = allocate;
    const auto object = py::handle{reinterpret_cast<PyObject*>(base)};
    name_plainly(object, "Object");
    name_plainly(reinterpret_cast<PyObject*>(py::detail::get_internals().default_metaclass),
                 "Class");
    object.attr("__reduce__") = py::cpp_function(
        [](const py::object& self) -> py::object {
            throw py::type_error{std::string{"cannot pickle or copy a "} +
                                 name_of(Py_TYPE(self.ptr())) +
                                 ": it stands for memory of this process"};
        },
        py::name("__reduce__"), py::is_method(object));
}

void drop_in_turn(py::object& object) noexcept {
    static thread_local std::vector<PyObject*>* waiting = nullptr;
    PyObject* next = object.release().ptr();
    if (next == nullptr) return;
    if (waiting != nullptr) {
        try {
            waiting->push_back(next);
            return;
        } catch (const std::bad_alloc&) {  // The list has no room: it is dropped at once.
        }
        Py_DECREF(next);
        return;
    }
    std::vector<PyObject*> list;
    waiting = &list;
    for (;;) {
        Py_DECREF(next);
        if (list.empty()) break;
        next = list.back();
        list.pop_back();
    }
    waiting = nullptr;
}

}  // namespace numpool::bindings
