#pragma once

#include <Python.h>

#include <utility>

namespace numpool::bindings {

/// Raises in Python what C++ has just thrown. Call it in a catch block.
void set_python_error() noexcept;

/// Runs the body of a function that Python calls directly, past pybind11: an exception becomes the
/// Python error, and `failed` the result.
template <class Result, class Body>
Result guarded(Result failed, Body&& body) noexcept {
    try {
        return std::forward<Body>(body)();
    } catch (...) {
        set_python_error();
        return failed;
    }
}

}  // namespace numpool::bindings
