#pragma once

#include <cxxabi.h>
#include <pybind11/pybind11.h>

#include <type_traits>
#include <utility>

namespace numpool::bindings {

/// Raises in Python what C++ has just thrown. Call it in a catch block.
void set_python_error() noexcept;

/// Runs the body of a function that Python calls directly, past pybind11: an exception becomes the
/// Python error, and `failed` the result.
///
/// While the process exits, CPython before 3.14 ends a daemon thread that asks for the GIL by
/// unwinding its stack: that must pass through here, so neither this nor what is below it in the
/// stack may be noexcept where Python may switch threads.
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

/// Drops a reference from any thread; nothing happens to an empty one.
void drop_with_gil(pybind11::object& object) noexcept;

/// Sleeps for ever: what is left to a thread that is being ended where it can't be unwound.
[[noreturn]] void hang_thread() noexcept;

/// Runs the body without the GIL and returns what it returns. pybind11's gil_scoped_release takes
/// the GIL back in a destructor, which an ended daemon thread cannot leave.
template <class Body>
auto without_gil(Body&& body) {
    PyThreadState* const state = PyEval_SaveThread();
    try {
        if constexpr (std::is_void_v<decltype(body())>) {
            body();
            PyEval_RestoreThread(state);
        } else {
            auto result = body();
            PyEval_RestoreThread(state);
            return result;
        }
    } catch (abi::__forced_unwind&) {
        throw;
    } catch (...) {
        PyEval_RestoreThread(state);
        throw;
    }
}

}  // namespace numpool::bindings
