#include "bindings/numpy/python_budget.hpp"

#include <unistd.h>

#include <string>
#include <thread>
#include <utility>

#include "bindings/python/classes.hpp"
#include "bindings/python/errors.hpp"

namespace numpool::bindings {
namespace {

bool in_main_thread() noexcept {
    return gettid() == getpid();
}

/// Calls `on_soft` for a handle on the budget, which it drops. For Py_AddPendingCall.
int call_pending(void* held) {
    auto* const budget = static_cast<Budget*>(held);
    const int result = guarded(-1, [&] {
        budget->call_if_due();
        return 0;
    });
    const py::error_scope passing;
    budget->drop_handle();
    return result;
}

/// The same in a thread that Python does not know. Once Python has ended, the handle stays.
void call_in_thread(Budget* budget) noexcept {
    if (Py_IsInitialized() == 0) return;
    calling_python([budget] {
        const py::gil_scoped_acquire gil;
        if (call_pending(budget) != 0) PyErr_WriteUnraisable(nullptr);
    });
}

}  // namespace

Budget::Budget(const threads::SharedBudgetOptions& options, threads::Pool& source,
               threads::SharedBudget* outer, py::object source_object, py::object on_soft)
    : SharedBudget{options, source, outer},
      source_{source},
      source_object_{std::move(source_object)},
      on_soft_{std::move(on_soft)},
      calls_{static_cast<bool>(on_soft_)} {}

Budget::~Budget() {
    drop_with_gil(error_);
    drop_with_gil(on_soft_);
    drop_with_gil(source_object_);
}

void Budget::soft_crossed() noexcept {
    if (!calls_ || due_.exchange(true)) return;
    add_handle();
    if (in_main_thread() && Py_AddPendingCall(&call_pending, this) == 0) return;
    try {
        std::thread{call_in_thread, this}.detach();
    } catch (...) {  // The next crossing, or the end of the block, calls it.
        drop_handle();
        due_ = false;
    }
}

void Budget::call_if_due() {
    if (!due_.exchange(false)) return;
    py::object function;
    {
        const std::lock_guard lock{mutex_};
        function = on_soft_;
    }
    if (!function) return;
    const auto result = py::reinterpret_steal<py::object>(
        calling_python([&] { return PyObject_CallNoArgs(function.ptr()); }));
    if (result) return;
    const py::error_already_set error;
    if (!error.matches(PyExc_Exception)) throw error;
    stop(error);
}

void Budget::stop(const py::error_already_set& error) {
    py::object passed = error.value();
    if (const py::object trace = error.trace()) PyException_SetTraceback(passed.ptr(), trace.ptr());
    std::string why = Py_TYPE(passed.ptr())->tp_name;
    try {
        const std::string text = py::str{passed};
        if (!text.empty()) why += ": " + text;
    } catch (py::error_already_set&) {  // Its __str__ raises.
    }
    {
        const std::lock_guard lock{mutex_};
        std::swap(error_, passed);
    }
    stop_at_soft(why);
}

py::object Budget::take_error() noexcept {
    const std::lock_guard lock{mutex_};
    return std::exchange(error_, {});
}

void Budget::end_python_object() noexcept {
    py::object source;
    py::object function;
    py::object error;
    {
        const std::lock_guard lock{mutex_};
        source = std::exchange(source_object_, {});
        function = std::exchange(on_soft_, {});
        error = std::exchange(error_, {});
    }
    drop_in_turn(source);
    drop_in_turn(function);
    drop_in_turn(error);
}

}  // namespace numpool::bindings
