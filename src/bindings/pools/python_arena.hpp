#pragma once

#include <optional>

#include "bindings/python/python_pool.hpp"
#include "threads/arena/shared_arena.hpp"

namespace numpool::bindings {

/// What clean-ups raised: all of them run, and the last error passes, with those before it as its
/// context.
class CleanUpErrors {
  public:
    void add(py::error_already_set error);
    /// Throws the last one, if there is any.
    void raise();
    /// Tells sys.unraisablehook instead.
    void report(PyObject* subject) noexcept;

  private:
    std::optional<py::error_already_set> last_;
};

/// A place in an arena: what its `mark` returns. It holds its arena.
struct ArenaMark;

/// An arena with clean-ups in Python.
class Arena final : public threads::SharedArena {
  public:
    using Mark = threads::SharedArena::Mark;

    Arena(const threads::SharedArenaOptions& options, pages::SourceHandle source,
          threads::PoolHandle<threads::SharedArena> parent, py::object parent_object);

    /// The parent's Python object, or None.
    const py::object& parent() const noexcept { return parent_; }

    void defer(py::object callback, const py::args& arguments, const py::kwargs& keywords);
    ArenaMark mark_here();

    // The four ways to end blocks. Where one is in use, in a child too, they throw InUse before
    // anything has changed. Otherwise children end, clean-ups run, and then the blocks end; what
    // clean-ups raised passes last.
    void rewind_to(const ArenaMark& mark);
    void reset_all();
    void close_all();
    /// An exception passes, whose frames may use blocks: the memory goes with the last of them.
    void close_in_passing();

    /// Nobody can reach the Python object any more: what was deferred runs.
    void finalize() noexcept;

    // For the garbage collector.
    PyObject* parent_reference() const noexcept { return parent_.ptr(); }
    PyObject* deferred_reference() const noexcept { return deferred_.ptr(); }
    void clear() noexcept;

  private:
    ~Arena() override;

    std::size_t deferred() const noexcept;
    void require_unused(const Mark& since, const char* verb) const;
    void add_usage_of_family(const Mark& since, Usage& usage) const;
    std::size_t uses_of_family(const Mark& since) const;
    [[noreturn]] void throw_in_use(const Mark& since, const char* verb) const;
    void clean_up(const Mark& since, std::size_t deferred_before, CleanUpErrors& errors);
    bool run_newest_deferred(std::size_t deferred_before, CleanUpErrors& errors);

    py::object parent_;
    /// A list of what to call, with which arguments; made at the first need.
    py::object deferred_;
};

struct ArenaMark {
    threads::PoolHandle<Arena> arena;
    Arena::Mark place;
    std::size_t deferred = 0;
};

}  // namespace numpool::bindings

NUMPOOL_REQUIRE_INITIALISED(numpool::bindings::Arena)
