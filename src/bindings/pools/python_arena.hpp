#pragma once

#include "bindings/buffer/recent_arrays.hpp"
#include "bindings/pools/clean_ups.hpp"
#include "bindings/python/python_pool.hpp"
#include "threads/arena/shared_arena.hpp"

namespace numpool::bindings {

/// A place in an arena: what its `mark` returns. It holds its arena.
struct ArenaMark;

/// An arena with clean-ups in Python.
class Arena final : public threads::SharedArena, public RemembersArrays {
  public:
    using Mark = threads::SharedArena::Mark;

    Arena(const threads::SharedArenaOptions& options, pages::SourceHandle source,
          threads::PoolHandle<threads::SharedArena> parent, py::object parent_object);

    /// The parent's Python object, or None.
    py::object parent() const;

    RecentArrays& recent_arrays() noexcept override { return recent_arrays_; }

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
    /// The Python object goes. Arrays may keep the arena, and what it refers to may be what keeps
    /// them: no collector could see that cycle.
    void end_python_object() noexcept;

    // For the garbage collector.
    PyObject* parent_reference() const noexcept { return parent_.ptr(); }
    PyObject* clean_ups_reference() const noexcept { return clean_ups_.reference(); }
    void clear() noexcept;

  private:
    ~Arena() override;

    void name(Named& one) const override;
    bool has_left(const Mark& mark) const;
    void require_unused(const Mark& since, const char* verb) const;
    [[noreturn]] void throw_in_use(const Mark& since, const char* verb) const;
    void clean_up(const Mark& since, std::size_t first, CleanUpErrors& errors);

    /// Its Python object, as long as this arena has one itself.
    py::object parent_;
    Pool* const family_;
    CleanUps clean_ups_{*this};
    RecentArrays recent_arrays_;
};

struct ArenaMark {
    threads::PoolHandle<Arena> arena;
    Arena::Mark place;
    /// The number of the next clean-up: those from it on belong to what began since.
    std::size_t next_clean_up = 0;
};

}  // namespace numpool::bindings

NUMPOOL_REQUIRE_INITIALISED(numpool::bindings::Arena)
