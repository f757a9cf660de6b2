#pragma once

#include <utility>

#include "bindings/python/free_threading.hpp"
#include "bindings/python/topics.hpp"

namespace numpool::bindings {

/// Makes pybind11 raise Python errors where it would end the process, for all classes of this
/// extension. Called once, before the first class is made.
void prepare_classes();

/// Gives a class a layout that no other class has. So CPython refuses to assign an object's
/// `__class__`, and to derive a class from two of them. Called from a class's custom_type_setup.
inline void give_own_layout(PyHeapTypeObject* type) {
    type->ht_type.tp_basicsize += static_cast<Py_ssize_t>(sizeof(void*));
}

/// `give_own_layout`, as the setup of a class that needs no other.
inline py::custom_type_setup own_layout() {
    return py::custom_type_setup{give_own_layout};
}

/// The C++ object in a Python object, or null while its `__init__` has not ended. The garbage
/// collector may call a slot at any moment, so this neither throws nor changes anything.
template <class Made>
Made* made_in(PyObject* self) noexcept {
    const auto* const instance = reinterpret_cast<py::detail::instance*>(self);
    if (!instance->simple_layout || !instance->simple_holder_constructed) return nullptr;
    return static_cast<Made*>(instance->simple_value_holder[0]);
}

/// Calls `end_python_object` of the C++ pool just before its Python object is destroyed. Arrays may
/// keep the pool longer, but it then drops the Python objects that it held for that one only.
template <class SomePool>
void tell_of_end(PyTypeObject* type) {
    static destructor dealloc_of_base = nullptr;
    dealloc_of_base = type->tp_base->tp_dealloc;
    type->tp_dealloc = [](PyObject* self) {
        PyObject_GC_UnTrack(self);
        if (auto* const pool = made_in<SomePool>(self)) {
            const py::error_scope passing;
            pool->end_python_object();
        }
        dealloc_of_base(self);
    };
}

/// Throws a Python RuntimeError.
[[noreturn]] void throw_made_meanwhile(PyObject* self);

/// The last step of an `__init__`: puts the C++ object into the Python object. Throws where one of
/// the arguments has called `__init__` itself.
template <class Class, class Made>
void finish_init(py::detail::value_and_holder& self, Made made) {
    auto* const object = reinterpret_cast<PyObject*>(self.inst);
    const CriticalSection section{object};
    if (self.value_ptr() != nullptr) throw_made_meanwhile(object);
    py::detail::initimpl::construct<Class>(self, std::move(made), false);
}

/// Has a class whose objects only numpool makes say so, with this text, where it is called.
template <class Class>
void refuse_init(Class& type, const char* text) {
    type.def(
        "__init__",
        [text](py::detail::value_and_holder&, const py::args&, const py::kwargs&) {
            throw py::type_error{text};
        },
        py::detail::is_new_style_constructor(),
        "__init__(self, *args, **kwargs)\n--\n\nRaises TypeError.");
}

/// Drops a reference of a pool whose Python object ends. That may end another pool, which calls
/// this again. Chains of pools may be deeper than the C stack, so the first call drops all in a
/// loop.
void drop_in_turn(py::object& object) noexcept;

}  // namespace numpool::bindings
