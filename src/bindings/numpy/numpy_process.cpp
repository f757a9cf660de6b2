#include "bindings/numpy/numpy_process.hpp"

#include "bindings/python/free_threading.hpp"
#include "threads/budget/shared_budget.hpp"

namespace numpool::bindings {
namespace {

using threads::ByteSource;
using threads::Pool;

/// All handlers that were ever made, the newest first. Threads read the list while it grows.
std::atomic<ProcessHandler*> newest = nullptr;

PyDataMem_Handler* handler_of_numpy() {
    void* const handler = PyCapsule_GetPointer(PyDataMem_DefaultHandler, "mem_handler");
    if (handler == nullptr) throw py::error_already_set{};
    return static_cast<PyDataMem_Handler*>(handler);
}

}  // namespace

/// The functions for new requests while the handler does not serve: the earlier handler's. Those
/// for blocks, `realloc` and `free`, always stay ours.
class ProcessHandler::Passing {
  public:
    static void* malloc(void* context, std::size_t bytes) noexcept {
        const PyDataMemAllocator& before = before_of(context);
        return before.malloc(before.ctx, bytes);
    }
    static void* calloc(void* context, std::size_t count, std::size_t size) noexcept {
        const PyDataMemAllocator& before = before_of(context);
        return before.calloc(before.ctx, count, size);
    }

  private:
    static const PyDataMemAllocator& before_of(void* context) noexcept {
        const auto* const pools = static_cast<const threads::PoolWithFallback*>(context);
        return static_cast<const ProcessHandler*>(pools)->before_.allocator;
    }
};

// NumPy's own tests, and other programs, know the default handler by this name.
ProcessHandler::ProcessHandler(Pool& pool, const Fallback& fallback,
                               const PyDataMem_Handler& before)
    : NumpyHandler{pool, fallback},
      functions_{functions()},
      handler_{"default_allocator", 1, functions_},
      before_{before},
      next_{newest.load(std::memory_order_relaxed)} {}

/// Other packages may keep this handler's address, so it is modified in place.
void ProcessHandler::serve(bool yes) noexcept {
    serves_.store(yes, std::memory_order_relaxed);
    PyDataMemAllocator now = functions_;
    if (!yes) {
        now.malloc = Passing::malloc;
        now.calloc = Passing::calloc;
    }
    replace(handler_.allocator, now);
}

void ProcessHandler::renew_all_functions() noexcept {
    // Before NumPy is imported there is none, and no capsule whose lock could be taken.
    if (newest.load(std::memory_order_acquire) == nullptr) return;
    const CriticalSection one_at_a_time{PyDataMem_DefaultHandler};
    for (auto* one = newest.load(std::memory_order_acquire); one != nullptr; one = one->next_) {
        one->functions_ = one->functions();
        one->serve(one->serves());
    }
}

ProcessHandler* ProcessHandler::find(const Pool& pool, const Fallback& fallback,
                                     const PyDataMem_Handler& before) noexcept {
    ProcessHandler* one = newest.load(std::memory_order_relaxed);
    while (one != nullptr && !(one->is_of(pool, fallback) && &one->before_ == &before))
        one = one->next_;
    return one;
}

const PyDataMem_Handler& ProcessHandler::before_ours(const PyDataMem_Handler* current) noexcept {
    for (const auto* one = newest.load(std::memory_order_relaxed); one != nullptr;
         one = one->next_) {
        if (&one->handler_ == current) return one->before_;
    }
    return *current;
}

void ProcessHandler::install(Pool& pool, const Fallback& fallback) {
    const CriticalSection one_at_a_time{PyDataMem_DefaultHandler};
    // If another package has replaced our handler, its handler is the earlier one from now on.
    const PyDataMem_Handler& before = before_ours(handler_of_numpy());
    ProcessHandler* handler = find(pool, fallback, before);
    if (handler == nullptr) {
        handler = new ProcessHandler{pool, fallback, before};
        newest.store(handler, std::memory_order_release);
    }
    ProcessHandler* const served = serving();
    handler->serve(true);
    if (PyCapsule_SetPointer(PyDataMem_DefaultHandler, &handler->handler_) != 0) {
        throw py::error_already_set{};
    }
    if (served != nullptr && served != handler) served->serve(false);
}

void ProcessHandler::uninstall() noexcept {
    // Before NumPy is imported there is none, and no capsule whose lock could be taken.
    if (serving() == nullptr) return;
    const CriticalSection one_at_a_time{PyDataMem_DefaultHandler};
    ProcessHandler* const handler = serving();
    if (handler != nullptr) handler->serve(false);
}

ProcessHandler* ProcessHandler::serving() noexcept {
    ProcessHandler* one = newest.load(std::memory_order_acquire);
    while (one != nullptr && !one->serves()) one = one->next_;
    return one;
}

Pool* ProcessHandler::sharing_blocks_with(Pool& pool, Pool* fallback) noexcept {
    const auto shares = [&](Pool* known) {
        return known != nullptr &&
               (threads::share_blocks(*known, pool) ||
                (fallback != nullptr && threads::share_blocks(*known, *fallback)));
    };
    for (auto* one = newest.load(std::memory_order_acquire); one != nullptr; one = one->next_) {
        if (shares(one->pool())) return one->pool();
        if (shares(one->fallback())) return one->fallback();
    }
    return nullptr;
}

Pool* ProcessHandler::pool_of_any(const void* address) noexcept {
    for (auto* one = newest.load(std::memory_order_acquire); one != nullptr; one = one->next_) {
        if (Pool* const pool = one->pool_of(address)) return pool;
    }
    return nullptr;
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
