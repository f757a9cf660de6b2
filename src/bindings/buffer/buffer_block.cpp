/// A buffer and its block: the block's use, its release, and blocks that ended before their buffer.

#include <algorithm>
#include <new>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/size_text.hpp"
#include "bindings/buffer/buffer.hpp"
#include "bindings/buffer/recent_arrays.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/tracing.h"

namespace numpool::bindings {
namespace {

void raise_ended(const Buffer* buffer) noexcept {
    PyErr_Format(PyExc_ValueError, "this buffer ended when %s: acquire another one",
                 buffer->holding.office->ending());
}

/// A lease of a block that has a ticket. The block is in use while the lease lives.
Lease* new_use(Buffer* buffer) noexcept {
    Holding use = buffer->holding;
    if (!use.office->begin_use(use.block, use.ticket)) {
        raise_ended(buffer);
        return nullptr;
    }
    use.office = nullptr;
    Lease* const lease = new_lease(use);
    if (lease == nullptr) use.release();
    return lease;
}

std::size_t views_of(const Buffer* buffer) noexcept {
    const Holding& holding = buffer->holding;
    if (holding.office != nullptr) return holding.office->uses_of(holding.block, holding.ticket);
    if (buffer->lease == nullptr) return 0;
    return static_cast<std::size_t>(Py_REFCNT(&buffer->lease->ob_base) - 1);
}

/// "of FixedPool 'frames' ", or nothing for a buffer of no pool.
std::string origin_of(const Buffer* buffer) {
    const threads::Pool* const pool = pool_behind(buffer->holding);
    return pool == nullptr ? "" : "of " + pool->title() + " ";
}

std::vector<ArrayNote> arrays_on(const Buffer* buffer) {
    const Holding& holding = buffer->holding;
    RecentArrays* arrays = buffer->lease == nullptr ? nullptr : buffer->lease->arrays;
    if (holding.office != nullptr) {
        auto* const owner = dynamic_cast<RemembersArrays*>(holding.owner);
        arrays = owner == nullptr ? nullptr : &owner->recent_arrays();
    }
    if (arrays == nullptr) return {};
    return arrays->in(holding.block, static_cast<std::size_t>(holding.bytes));
}

/// "2 views: (32, 32) float32 of 4 KiB or a view of it, and 1 other (memoryview, array or DLPack)".
/// An array lives as long as its own views, and does not tell whether anything else refers to it.
std::string text_of_views(const Buffer* buffer, std::size_t views) {
    constexpr const char* kinds = " (memoryview, array or DLPack)";
    std::string text = count_to_text(views, "view");
    const auto arrays = arrays_on(buffer);
    if (arrays.empty()) return text + kinds;
    const char* separator = ": ";
    for (const auto& array : arrays) {
        text +=
            separator + array.text() + " of " + size_to_text(array.bytes()) + " or a view of it";
        separator = ", ";
    }
    const std::size_t others = views - std::min(views, arrays.size());
    if (others == 0) return text;
    return text + ", and " + count_to_text(others, "other") + kinds;
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
    return guarded<bool>(false, [&]() -> bool {
        throw InUse{"this buffer " + origin_of(buffer) + "is still in use by " +
                    text_of_views(buffer, views) + (views == 1 ? ": drop it" : ": drop them") +
                    " first"};
    });
}

void remember_array(Buffer* buffer, Lease* lease, PyObject* array) noexcept {
    if (buffer->holding.office != nullptr) {
        // The lease keeps the owner; the buffer may have been released meanwhile.
        auto* const owner = dynamic_cast<RemembersArrays*>(lease->holding.owner);
        if (owner != nullptr) owner->recent_arrays().add(array);
        return;
    }
    if (lease->arrays == nullptr) lease->arrays = new (std::nothrow) RecentArrays;
    if (lease->arrays != nullptr) lease->arrays->add(array);
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
