#pragma once

#include <Python.h>

#include "bindings/buffer/lease.hpp"

namespace numpool::bindings {

/// The Python type of all blocks that pools hand out. It does without pybind11, where making an
/// object would cost more than ten times as much.
struct Buffer {
    PyObject ob_base;
    Holding holding;
    /// The lease that holds the block, once a view was made; null before. A buffer with a ticket
    /// makes a lease for each view, and keeps none unless it is pinned.
    Lease* lease;
    PyObject* weak_references;
    bool released;
    /// A consumer has the address, and there is no way to see when its use ends.
    bool pinned;
};

/// A buffer that holds the block, or null with a Python error; the block is then still the
/// caller's.
Buffer* new_buffer(const Holding& holding) noexcept;

bool is_buffer(PyObject* object) noexcept;

/// Whether the arena has ended the block. This function and those below are called in the buffer's
/// critical section.
bool has_ended(const Buffer* buffer) noexcept;

/// False with a ValueError where the buffer has no block any more.
bool require_unreleased(Buffer* buffer) noexcept;

/// Ends the buffer's use of the block, which goes back now or with the last view.
void let_go(Buffer* buffer) noexcept;

/// Whether the block may go back now: false with a Python error where a view could still reach it
/// or the buffer was released.
bool can_release(Buffer* buffer) noexcept;

/// A buffer that counts as released until `replace_block`. Null with a Python error.
Buffer* new_buffer_without_block() noexcept;

/// The pool has reallocated the old buffer's block to `block`: the renewed buffer gets that, and
/// the old one counts as released.
void replace_block(Buffer* old, Buffer* renewed, std::byte* block, Py_ssize_t bytes) noexcept;

/// A lease of the buffer's block, a new reference. Null with a ValueError where the buffer was
/// released.
Lease* lease_of(Buffer* buffer) noexcept;

/// Errors may name this array, which was made on the lease of this buffer.
void remember_array(Buffer* buffer, Lease* lease, PyObject* array) noexcept;

/// `Buffer.array`: an ndarray on the lease's block, as large as the block where the shape is None.
PyObject* array_on(Lease* lease, PyObject* dtype, PyObject* shape);

}  // namespace numpool::bindings
