#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>

#include "bindings/python/errors.hpp"
#include "bindings/python/topics.hpp"

namespace numpool::bindings {

class Arena;

/// A deferred call of an arena.
struct CleanUp {
    /// Numbers rise: a mark notes the next one.
    std::size_t number = 0;
    py::object callback;
    py::object arguments;
    py::object keywords;
};

/// What clean-ups raised. All of them run, and the last error is thrown with the earlier ones as
/// its context.
class CleanUpErrors {
  public:
    void add(py::error_already_set error);

    /// Runs a step; its exception becomes the last error.
    template <class Step>
    void run(Step&& step) {
        try {
            std::forward<Step>(step)();
        } catch (abi::__forced_unwind&) {
            throw;
        } catch (...) {
            set_python_error();
            add(py::error_already_set{});
        }
    }

    /// Throws the last error, if there is any.
    void raise();
    /// Passes the last error to sys.unraisablehook instead.
    void report(PyObject* subject) noexcept;

  private:
    std::optional<py::error_already_set> last_;
};

/// The clean-ups of an arena, in an object that the garbage collector sees.
///
/// The garbage collector calls the finalizer of each unreachable object once. Afterwards it clears
/// the objects, functions included. So clean-ups run from the finalizer of that object. Those that
/// are deferred during the collection go into a new object, which the collector takes for
/// reachable: so it clears nothing that they need.
class CleanUps {
  public:
    explicit CleanUps(Arena& arena) : arena_{arena} {}
    CleanUps(const CleanUps&) = delete;
    CleanUps& operator=(const CleanUps&) = delete;
    ~CleanUps();

    void defer(py::object callback, py::object arguments, py::object keywords);
    /// The number that the next one gets.
    std::size_t next() const;
    /// Runs the newest one whose number is at least `first`. False where there is none.
    bool run_newest(std::size_t first, CleanUpErrors& errors);
    bool is_empty() const;

    /// Whether the clean-ups may still run: false once the collector has called the finalizer.
    bool may_run() const;
    /// For the garbage collector, after all finalizers: drops the clean-ups that may not run.
    void clear() noexcept;
    PyObject* reference() const noexcept { return list_.ptr(); }

    static void create_type();

  private:
    Arena& arena_;
    /// Guards the members below. No Python code runs under it.
    mutable std::mutex mutex_;
    /// Made at the first need.
    py::object list_;
    std::size_t next_ = 0;
};

}  // namespace numpool::bindings
