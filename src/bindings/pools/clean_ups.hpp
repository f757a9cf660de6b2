#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>

#include "bindings/python/errors.hpp"
#include "bindings/python/topics.hpp"

namespace numpool::bindings {

class Arena;

/// What an arena was told to call.
struct CleanUp {
    /// Each has the next number: a mark notes how far they have got.
    std::size_t number = 0;
    py::object callback;
    py::object arguments;
    py::object keywords;
};

/// What clean-ups raised: all of them run, and the last error passes, with those before it as its
/// context.
class CleanUpErrors {
  public:
    void add(py::error_already_set error);

    /// Runs a step; an exception of its own is the last error.
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
    /// Tells sys.unraisablehook instead.
    void report(PyObject* subject) noexcept;

  private:
    std::optional<py::error_already_set> last_;
};

/// The clean-ups of an arena, in an object that the garbage collector sees.
///
/// A collection calls the finalizer of each object that it found unreachable, once, and clears
/// functions afterwards. So clean-ups run from that object's finalizer. Those that are deferred
/// later go into a new object: to the collector they are then held from outside, and it clears
/// nothing that they need.
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

    /// Whether what is there may still run: not where the collector has called the finalizer.
    bool may_run() const;
    /// For the garbage collector, which has called all finalizers: lets go of what may not run.
    void clear() noexcept;
    PyObject* reference() const noexcept { return list_.ptr(); }

    static void create_type();

  private:
    Arena& arena_;
    /// It guards the three below; nothing that could call Python code happens under it.
    mutable std::mutex mutex_;
    /// Made at the first need.
    py::object list_;
    std::size_t next_ = 0;
};

}  // namespace numpool::bindings
