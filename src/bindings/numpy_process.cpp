#include "bindings/numpy_process.hpp"

#include "bindings/free_threading.hpp"
#include "bindings/numpy_functions.hpp"

namespace numpool::bindings {
namespace {

using threads::ByteSource;
using threads::Pool;

/// All handlers that ever were, the newest first. Threads free blocks while it grows.
std::atomic<ProcessHandler*> newest = nullptr;

PyDataMem_Handler* default_handler() {
    void* const handler = PyCapsule_GetPointer(PyDataMem_DefaultHandler, "mem_handler");
    if (handler == nullptr) throw py::error_already_set{};
    return static_cast<PyDataMem_Handler*>(handler);
}

}  // namespace

// NumPy's own tests, and other programs, know the default handler by this name.
ProcessHandler::ProcessHandler(Pool& pool, Pool* fallback, const PyDataMem_Handler& before)
    : NumpyHandler{pool, fallback},
      handler_{"default_allocator", 1, numpy_functions(this)},
      before_{before},
      next_{newest.load(std::memory_order_relaxed)} {}

ProcessHandler* ProcessHandler::find(const Pool& pool, const Pool* fallback,
                                     const PyDataMem_Handler& before) noexcept {
    ProcessHandler* one = newest.load(std::memory_order_relaxed);
    while (one != nullptr && !(one->pool() == &pool && one->fallback() == fallback &&
                               &one->before_ == &before)) {
        one = one->next_;
    }
    return one;
}

const PyDataMem_Handler& ProcessHandler::before_ours(const PyDataMem_Handler* current) noexcept {
    for (const auto* one = newest.load(std::memory_order_relaxed); one != nullptr; one = one->next_) {
        if (&one->handler_ == current) return one->before_;
    }
    return *current;
}

void ProcessHandler::install(Pool& pool, Pool* fallback) {
    const CriticalSection one_at_a_time{PyDataMem_DefaultHandler};
    // A stranger that came after us is who was there before, from here on.
    const PyDataMem_Handler& before = before_ours(default_handler());
    ProcessHandler* handler = find(pool, fallback == &pool ? nullptr : fallback, before);
    if (handler == nullptr) {
        handler = new ProcessHandler{pool, fallback, before};
        newest.store(handler, std::memory_order_release);
    }
    ProcessHandler* const served = serving();
    handler->serves_.store(true, std::memory_order_relaxed);
    if (PyCapsule_SetPointer(PyDataMem_DefaultHandler, &handler->handler_) != 0) {
        throw py::error_already_set{};
    }
    if (served != nullptr && served != handler) {
        served->serves_.store(false, std::memory_order_relaxed);
    }
}

void ProcessHandler::uninstall() noexcept {
    ProcessHandler* const handler = serving();
    if (handler != nullptr) handler->serves_.store(false, std::memory_order_relaxed);
}

ProcessHandler* ProcessHandler::serving() noexcept {
    ProcessHandler* one = newest.load(std::memory_order_acquire);
    while (one != nullptr && !one->serves()) one = one->next_;
    return one;
}

Pool* ProcessHandler::owner_of_any(const void* address) noexcept {
    for (auto* one = newest.load(std::memory_order_acquire); one != nullptr; one = one->next_) {
        if (Pool* const pool = one->owner(address)) return pool;
    }
    return nullptr;
}

void* ProcessHandler::acquire_elsewhere(std::size_t bytes, bool zeroed) const noexcept {
    if (serves()) return NumpyHandler::acquire_elsewhere(bytes, zeroed);
    const PyDataMemAllocator& before = before_.allocator;
    return zeroed ? before.calloc(before.ctx, bytes, 1) : before.malloc(before.ctx, bytes);
}

void ProcessHandler::release_elsewhere(void* block, std::size_t bytes) const noexcept {
    for (auto* one = newest.load(std::memory_order_acquire); one != nullptr; one = one->next_) {
        if (ByteSource* const owner = one->source_of(block)) {
            owner->try_release(block, bytes);
            return;
        }
    }
    before_.allocator.free(before_.allocator.ctx, block, bytes);
}

void* ProcessHandler::reallocate_elsewhere(void* block, std::size_t bytes) const noexcept {
    const PyDataMemAllocator& before = before_.allocator;
    ByteSource* owner = nullptr;
    for (auto* one = newest.load(std::memory_order_acquire); one != nullptr; one = one->next_) {
        if ((owner = one->source_of(block)) != nullptr) break;
    }
    if (owner == nullptr) return before.realloc(before.ctx, block, bytes);
    if (std::byte* const moved = owner->try_reallocate(block, bytes)) return moved;
    // This may run without the GIL, where NumPy's malloc must not be called, but its realloc may.
    void* const to = serves() ? acquire_here(bytes) : before.realloc(before.ctx, nullptr, bytes);
    return move_contents(*owner, block, to, bytes);
}

}  // namespace numpool::bindings
