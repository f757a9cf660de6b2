/// What a buffer does with its block: how it is used, let go, and what may have become of it.

#include "bindings/buffer/buffer.hpp"
#include "bindings/python/tracing.h"

namespace numpool::bindings {
namespace {

void raise_ended(const Buffer* buffer) noexcept {
    PyErr_Format(PyExc_ValueError, "this buffer ended when %s: acquire another one",
                 buffer->holding.office->ending());
}

/// A lease of a block that needs a ticket: it is in use while the lease lives.
Lease* new_use(Buffer* buffer) noexcept {
    Holding use = buffer->holding;
    if (!use.office->begin_use(use.block, use.ticket)) {
        raise_ended(buffer);
        return nullptr;
    }
    use.office = nullptr;
    Lease* const lease = new_lease(use);
    if (lease == nullptr) use.give_back();
    return lease;
}

std::size_t views_of(const Buffer* buffer) noexcept {
    const Holding& holding = buffer->holding;
    if (holding.office != nullptr) return holding.office->uses_of(holding.block, holding.ticket);
    if (buffer->lease == nullptr) return 0;
    return static_cast<std::size_t>(Py_REFCNT(&buffer->lease->ob_base) - 1);
}

}  // namespace

bool has_ended(const Buffer* buffer) noexcept {
    const Holding& holding = buffer->holding;
    return !buffer->released && holding.office != nullptr &&
           !holding.office->is_current(holding.ticket);
}

bool require_unreleased(Buffer* buffer) noexcept {
    if (buffer->released) {
        PyErr_SetString(PyExc_ValueError,
                        "this buffer was released: acquire another one from its pool");
        return false;
    }
    if (!has_ended(buffer)) return true;
    raise_ended(buffer);
    return false;
}

void let_go(Buffer* buffer) noexcept {
    buffer->released = true;
    const bool leased = buffer->lease != nullptr;
    Py_CLEAR(buffer->lease);
    if (!leased || buffer->holding.office != nullptr) buffer->holding.let_go();
}

bool can_release(Buffer* buffer) noexcept {
    if (!require_unreleased(buffer)) return false;
    if (buffer->pinned) {
        PyErr_SetString(
            PyExc_BufferError,
            "numpy.ndarray(buffer=...) was called on this buffer and does not tell whether its "
            "array still lives: drop the buffer instead of releasing it, or make arrays with "
            "buffer.array(dtype, shape)");
        return false;
    }
    const std::size_t views = views_of(buffer);
    if (views == 0) return true;
    PyErr_Format(
        PyExc_BufferError,
        "this buffer is still in use by %zu view%s (memoryview, array or DLPack): drop %s first",
        views, views == 1 ? "" : "s", views == 1 ? "it" : "them");
    return false;
}

Buffer* new_buffer_without_block() noexcept {
    Holding none;
    none.traced = false;
    Buffer* const buffer = new_buffer(none);
    if (buffer != nullptr) buffer->released = true;
    return buffer;
}

void replace_block(Buffer* old, Buffer* renewed, std::byte* block, Py_ssize_t bytes) noexcept {
    Holding holding = old->holding;
    numpool_untrack(holding.block);
    holding.block = block;
    holding.bytes = bytes;
    old->released = true;
    if (old->lease != nullptr) {
        old->lease->holding.owner = nullptr;
        Py_CLEAR(old->lease);
    }
    if (holding.traced) numpool_track(block, static_cast<std::size_t>(bytes));
    renewed->holding = holding;
    renewed->released = false;
}

Lease* lease_of(Buffer* buffer) noexcept {
    if (!require_unreleased(buffer)) return nullptr;
    if (buffer->lease == nullptr) {
        if (buffer->holding.office != nullptr) return new_use(buffer);
        buffer->lease = new_lease(buffer->holding);
        if (buffer->lease == nullptr) return nullptr;
    }
    Py_INCREF(&buffer->lease->ob_base);
    return buffer->lease;
}

}  // namespace numpool::bindings
