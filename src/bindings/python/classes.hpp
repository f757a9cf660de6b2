#pragma once

#include <utility>

#include "bindings/python/free_threading.hpp"
#include "bindings/python/topics.hpp"

namespace numpool::bindings {

/// Makes pybind11 refuse with Python errors where it would end the process, for all classes of this
/// extension. Called once, before the first class is made.
void prepare_classes();

/// Gives a class a layout that no other class has, so that CPython itself refuses both to turn an
/// object into one of another class and to make a class with two of them as bases. To be called
/// from a class's custom_type_setup.
inline void give_own_layout(PyHeapTypeObject* type) {
    type->ht_type.tp_basicsize += static_cast<Py_ssize_t>(sizeof(void*));
}

/// The same, as the setup of a class that needs no other.
inline py::custom_type_setup own_layout() {
    return py::custom_type_setup{give_own_layout};
}

/// The C++ object in a Python object, or null while its `__init__` has not ended. For the slots
/// that the garbage collector calls, at any moment: it throws nothing and changes nothing.
template <class Made>
Made* made_in(PyObject* self) noexcept {
    const auto* const instance = reinterpret_cast<py::detail::instance*>(self);
    if (!instance->simple_layout || !instance->simple_holder_constructed) return nullptr;
    return static_cast<Made*>(instance->simple_value_holder[0]);
}

/// Has the C++ pool told, by `end_python_object`, that its Python object is about to go: what
/// Python objects the pool holds only for that one, it drops then. Arrays may keep the pool longer.
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

/// The last step of an `__init__`: the object gets what it is to hold. Throws where one of the
/// arguments has called `__init__` itself.
template <class Class, class Made>
void finish_init(py::detail::value_and_holder& self, Made made) {
    auto* const object = reinterpret_cast<PyObject*>(self.inst);
    const CriticalSection section{object};
    if (self.value_ptr() != nullptr) throw_made_meanwhile(object);
    py::detail::initimpl::construct<Class>(self, std::move(made), false);
}

/// Drops what a pool refers to when its Python object ends. That may end another pool, which drops
/// its own, and chains of pools may be deeper than the C stack: the first call drops all in a loop.
void drop_in_turn(py::object& object) noexcept;

}  // namespace numpool::bindings
