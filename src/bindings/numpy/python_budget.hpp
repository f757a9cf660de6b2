#pragma once

#include <atomic>
#include <mutex>

#include "bindings/python/python_pool.hpp"
#include "threads/budget/shared_budget.hpp"

namespace numpool::bindings {

/// A budget that calls a Python function when more than its soft limit comes into use.
///
/// NumPy allocates in the middle of its own work, so the function is not called from there. It is
/// called soon: in the main thread between two steps of Python code, if the main thread has crossed
/// the limit; in a thread of its own if another one has; and at the end of the budget's block at
/// the latest.
class Budget final : public threads::SharedBudget {
  public:
    /// `on_soft` is empty where there is none.
    Budget(const threads::SharedBudgetOptions& options, threads::Pool& source,
           threads::SharedBudget* outer, py::object source_object, py::object on_soft);

    /// The pool that it was made over.
    threads::Pool& source() const noexcept { return source_; }

    /// Calls `on_soft` in this thread if it is due. From an error that it raises on, the soft limit
    /// holds as a limit. Throws only an error that is no Exception.
    void call_if_due();

    /// The error of `on_soft` that nobody has taken yet; empty where there is none.
    py::object take_error() noexcept;

    /// The Python object goes: drops the references that the budget held for it.
    void end_python_object() noexcept;

    // For the garbage collector.
    PyObject* source_reference() const noexcept { return source_object_.ptr(); }
    PyObject* function_reference() const noexcept { return on_soft_.ptr(); }
    PyObject* error_reference() const noexcept { return error_.ptr(); }

  private:
    ~Budget() override;

    void soft_crossed() noexcept override;
    void stop(const py::error_already_set& error);

    threads::Pool& source_;
    /// Guards the objects below. No Python code runs under it.
    std::mutex mutex_;
    /// The Python object of a FixedPool with an `init` keeps that pool open.
    py::object source_object_;
    py::object on_soft_;
    py::object error_;
    /// Whether `on_soft` is to be called.
    std::atomic<bool> due_ = false;
    const bool calls_;
};

}  // namespace numpool::bindings

NUMPOOL_REQUIRE_INITIALISED(numpool::bindings::Budget)
