#pragma once

#include <cxxabi.h>
#include <pybind11/pybind11.h>

#include <type_traits>
#include <utility>

namespace numpool::bindings {

/// Drops a reference from any thread. Does nothing to an empty one.
void drop_with_gil(pybind11::object& object) noexcept;

/// Sleeps for ever: for a thread that Python ends where its stack can't be unwound.
[[noreturn]] void hang_thread() noexcept;

/// Raises in Python what C++ has just thrown. Call it in a catch block.
void set_python_error() noexcept;

/// Runs the body of a function that Python calls directly, without pybind11. An exception becomes
/// the Python error, and the result is `failed`.
///
/// While the process exits, CPython before 3.14 ends a daemon thread when it asks for the GIL: it
/// unwinds the thread's stack. That must pass through here. So no function between here and a call
/// that may switch threads may be noexcept.
template <class Result, class Body>
Result guarded(Result failed, Body&& body) {
    try {
        return std::forward<Body>(body)();
    } catch (abi::__forced_unwind&) {
        throw;
    } catch (...) {
        set_python_error();
        return failed;
    }
}

/// Runs the body, which calls Python code. While the process exits, CPython before 3.14 unwinds the
/// stack of a daemon thread there. Our stack frames hold Python objects, which could not be dropped
/// then. So the thread sleeps for ever instead, as CPython lets it from 3.14 on.
template <class Body>
auto calling_python(Body&& body) {
    try {
        return std::forward<Body>(body)();
    } catch (abi::__forced_unwind&) {
        hang_thread();
    }
}

/// Runs the body without the GIL and returns what it returns. pybind11's gil_scoped_release takes
/// the GIL back in a destructor, and the stack of a daemon thread cannot be unwound through that.
template <class Body>
auto without_gil(Body&& body) {
    PyThreadState* const state = PyEval_SaveThread();
    const auto take_gil = [state] { calling_python([state] { PyEval_RestoreThread(state); }); };
    try {
        if constexpr (std::is_void_v<decltype(body())>) {
            body();
            take_gil();
        } else {
            auto result = body();
            take_gil();
            return result;
        }
    } catch (abi::__forced_unwind&) {
        throw;
    } catch (...) {
        take_gil();
        throw;
    }
}

}  // namespace numpool::bindings
