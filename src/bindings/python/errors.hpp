#pragma once

#include <cxxabi.h>
#include <pybind11/pybind11.h>

#include <type_traits>
#include <utility>

namespace numpool::bindings {

/// Drops a reference from any thread; nothing happens to an empty one.
void drop_with_gil(pybind11::object& object) noexcept;

/// Sleeps for ever: what is left to a thread that is being ended where it can't be unwound.
[[noreturn]] void hang_thread() noexcept;

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

/// Runs the body, which calls Python code. CPython before 3.14 ends a daemon thread in there, while
/// the process exits, by unwinding its stack; Python objects that ours holds could not be dropped
/// then, so the thread sleeps for ever instead, as from 3.14 on.
template <class Body>
auto calling_python(Body&& body) {
    try {
        return std::forward<Body>(body)();
    } catch (abi::__forced_unwind&) {
        hang_thread();
    }
}

/// Runs the body without the GIL and returns what it returns. pybind11's gil_scoped_release takes
/// the GIL back in a destructor, which an ended daemon thread cannot leave.
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
