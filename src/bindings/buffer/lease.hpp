#pragma once

#include <Python.h>

#include <cstddef>
#include <cstdint>

#include "threads/arena/ticket_office.hpp"
#include "threads/lifecycle/pool.hpp"

namespace numpool::bindings {

class RecentArrays;

/// A block in use, with whoever gets it back.
struct Holding {
    /// Null where another holding took the block over.
    threads::BlockOwner* owner = nullptr;
    std::byte* block = nullptr;
    Py_ssize_t bytes = 0;
    /// False while a pool's `init` is still to run, or has failed.
    bool constructed = true;
    /// Where a block may end before its holder lets go: whom to ask before each use.
    threads::TicketOffice* office = nullptr;
    std::uint64_t ticket = 0;
    /// False where tracemalloc knows of the block by other means than this holding.
    bool traced = true;

    /// Ends the use: the block may have a new owner before this returns.
    void give_back() noexcept;
    /// The same, or the ticket's end.
    void let_go() noexcept;
};

/// What views of a block hold, in place of the Buffer they were made from.
///
/// An exporter is told when a consumer ends its export, but NumPy ends some exports at once and
/// keeps the address, holding a reference to the object that the export named. So exports name a
/// lease: whatever can still reach the block holds a reference to it, the reference count is the
/// count of exports, and the block goes back when the lease dies. There is no other way for a
/// block to go back once it was exported.
struct Lease {
    PyObject ob_base;
    Holding holding;
    /// Those that Buffer.array made, for errors; made at the first need.
    RecentArrays* arrays;
};

/// A new lease that takes the holding over, or null with a Python error. What a ticket is for must
/// be in use, and that use is what the lease takes over.
Lease* new_lease(const Holding& holding) noexcept;

bool is_lease(PyObject* object) noexcept;

/// Exports the leased block: a `bf_getbuffer` whose object is the lease.
int export_lease(Lease* lease, Py_buffer* view, int flags) noexcept;

/// Whether an export is asked for as numpy.ndarray(buffer=...) asks: it ends the export at once and
/// goes on using the address, holding the object that it was given. It asks for any contiguous
/// layout, as few others do, and for a writable one first, as pyarrow.py_buffer() does not.
constexpr bool asks_to_keep_the_address(int flags) noexcept {
    return (flags & PyBUF_ANY_CONTIGUOUS & ~PyBUF_STRIDES) != 0 && (flags & PyBUF_WRITABLE) != 0;
}

/// Creates the type; called once.
void create_lease_type();

}  // namespace numpool::bindings
