#pragma once

#include "bindings/python/topics.hpp"

namespace numpool::bindings {

/// A pybind11 caster that refuses objects whose `__init__` never ran, as `Class.__new__(Class)`
/// makes them. By itself pybind11 hands out uninitialised memory for such an object.
template <class T>
class InitialisedCaster : public py::detail::type_caster_base<T> {
  public:
    bool load(py::handle source, bool convert) {
        const py::handle type = py::detail::get_type_handle(typeid(T), false);
        if (source && type && py::isinstance(source, type)) {
            auto* const instance = reinterpret_cast<py::detail::instance*>(source.ptr());
            for (auto& held : py::detail::values_and_holders(instance)) {
                if (held.value_ptr() != nullptr) continue;
                throw py::type_error{std::string{Py_TYPE(source.ptr())->tp_name} +
                                     ".__init__() was not called on this object"};
            }
        }
        return py::detail::type_caster_base<T>::load(source, convert);
    }
};

}  // namespace numpool::bindings

/// At global scope, before the type is bound.
#define NUMPOOL_REQUIRE_INITIALISED(type)                                           \
    namespace pybind11::detail {                                                    \
    template <>                                                                     \
    class type_caster<type> : public numpool::bindings::InitialisedCaster<type> {}; \
    }
