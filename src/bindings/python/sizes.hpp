#pragma once

#include <cstddef>
#include <string>

#include "bindings/python/topics.hpp"

namespace numpool::bindings {

/// A str's UTF-8. Throws Python's UnicodeEncodeError where it has none.
std::string to_text(const py::handle& value);

/// A number of things, from anything with `__index__`. Errors name the argument. 0 is a number.
std::size_t to_count(const py::handle& value, const char* name);

/// A method that returns a number, as a class is defined with: where Python has no memory for that,
/// pybind11 by itself would say TypeError.
template <class Class, class Base>
auto number(std::size_t (Base::*get)() const) {
    return [get](const Class& self) { return py::int_{(self.*get)()}; };
}

/// A number of bytes: a count, or a text like "64KiB" or "50%".
std::size_t to_size(const py::handle& value, const char* name);

}  // namespace numpool::bindings
