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

    // The four ways to end blocks. Where one is in use, also in a child, they throw InUse before
    // anything has changed. Otherwise children end, then clean-ups run, then the blocks end. An
    // error of a clean-up is thrown last.
    void rewind_to(const ArenaMark& mark);
    void reset_all();
    void close_all();
    /// For a `with` block that ends in an exception. Its frames may use blocks, so nothing throws
    /// InUse here, and the memory goes with the last block.
    void close_in_passing();

    /// The Python object is unreachable: clean-ups run.
    void finalize() noexcept;
    /// The Python object goes, and the arena drops its references. Arrays may keep the arena, and
    /// those references may keep the arrays: the garbage collector could not see that cycle.
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

    /// The parent's Python object, as long as this arena has one itself.
    py::object parent_;
    /// The parent, which the base class holds.
    Pool* const family_;
    CleanUps clean_ups_{*this};
    RecentArrays recent_arrays_;
};

struct ArenaMark {
    threads::PoolHandle<Arena> arena;
    Arena::Mark place;
    /// The number of the next clean-up: clean-ups from this one on are newer than the mark.
    std::size_t next_clean_up = 0;
};

}  // namespace numpool::bindings

NUMPOOL_REQUIRE_INITIALISED(numpool::bindings::Arena)
