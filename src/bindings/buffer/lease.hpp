#pragma once

#include <Python.h>

#include <cstddef>
#include <cstdint>

#include "threads/arena/ticket_office.hpp"
#include "threads/lifecycle/pool.hpp"

namespace numpool::bindings {

class RecentArrays;

/// A block in use, and its owner.
struct Holding {
    /// Null where another holding took the block over.
    threads::BlockOwner* owner = nullptr;
    std::byte* block = nullptr;
    Py_ssize_t bytes = 0;
    /// False while a pool's `init` is still to run, or has failed.
    bool constructed = true;
    /// Not null where the block may end while it is held: then each use asks the office first.
    threads::TicketOffice* office = nullptr;
    std::uint64_t ticket = 0;
    /// False where tracemalloc knows of the block by other means than this holding.
    bool traced = true;

    /// Ends the use. The block may be in use again, by others, before this returns.
    void release() noexcept;
    /// Drops the ticket where there is one, otherwise like `release`.
    void let_go() noexcept;
};

/// The pool that the block is of; null where it is none's.
inline threads::Pool* pool_behind(const Holding& holding) noexcept {
    return holding.owner == nullptr ? nullptr : holding.owner->pool_of_blocks();
}

/// What views of a block hold, in place of the Buffer they were made from.
///
/// Python tells an exporter when a consumer ends its export. But NumPy ends some exports at once
/// and keeps the address, with a reference to the object that the export named. So exports name a
/// lease: everything that can still reach the block holds a reference to the lease, and their
/// number is the number of exports. Once a block was exported, it goes back only when its lease
/// dies.
struct Lease {
    PyObject ob_base;
    Holding holding;
    /// The arrays that Buffer.array made, for error texts. Null until there is one.
    RecentArrays* arrays;
};

/// A new lease, to which the holding passes, or null with a Python error. A block with a ticket
/// must be in use, and that use passes to the lease.
Lease* new_lease(const Holding& holding) noexcept;

bool is_lease(PyObject* object) noexcept;

/// Exports the leased block: a `bf_getbuffer` whose object is the lease.
int export_lease(Lease* lease, Py_buffer* view, int flags) noexcept;

/// Whether these are the flags of numpy.ndarray(buffer=...), which ends the export at once, goes on
/// using the address and holds the object that it was given. It requests any contiguous layout, as
/// few others do, and a writable one first, as pyarrow.py_buffer() does not.
constexpr bool asks_to_keep_the_address(int flags) noexcept {
    return (flags & PyBUF_ANY_CONTIGUOUS & ~PyBUF_STRIDES) != 0 && (flags & PyBUF_WRITABLE) != 0;
}

/// Creates the type; called once.
void create_lease_type();

}  // namespace numpool::bindings
