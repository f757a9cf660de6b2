#pragma once

#include <atomic>

#include "bindings/numpy/numpy_handler.hpp"

namespace numpool::bindings {

/// A handler in the place of NumPy's default one, for every thread and context of the process.
///
/// NumPy exports its default handler as a capsule; every array that holds no other holds that one.
/// Pointing it here turns all new requests, and the frees of all old blocks too: whatever is in no
/// pool goes to the handler that was there before. A block may outlive any later change, so each
/// handler frees blocks of all that ever were, and none of them, nor their pools, ever ends. A
/// package that takes the same place after this one keeps its pointer, and that stays good.
class ProcessHandler : public NumpyHandler {
  public:
    /// Makes this pool serve all requests that no context says otherwise about. Known handlers are
    /// used again. Call the three with the GIL, after `require_numpy`.
    static void install(threads::Pool& pool, const Fallback& fallback);

    /// New requests go again to whoever was there before; what pools have handed out stays theirs.
    static void uninstall() noexcept;

    /// The one that serves; null if none does.
    static ProcessHandler* serving() noexcept;

    /// The pool, of all that were ever installed, that the address lies in; null if none.
    static threads::Pool* owner_of_any(const void* address) noexcept;

    // For AllocatorFunctions.
    void release_elsewhere(void* block, std::size_t bytes) const noexcept;
    void* reallocate_elsewhere(void* block, std::size_t bytes) const noexcept;

  private:
    class Passing;

    ProcessHandler(threads::Pool& pool, const Fallback& fallback, const PyDataMem_Handler& before);

    static ProcessHandler* find(const threads::Pool& pool, const Fallback& fallback,
                                const PyDataMem_Handler& before) noexcept;
    static const PyDataMem_Handler& before_ours(const PyDataMem_Handler* current) noexcept;

    bool serves() const noexcept { return serves_.load(std::memory_order_relaxed); }
    void serve(bool yes) noexcept;

    const PyDataMemAllocator functions_;
    PyDataMem_Handler handler_;
    const PyDataMem_Handler& before_;
    std::atomic<bool> serves_ = false;
    /// The one made before it.
    ProcessHandler* const next_;
};

}  // namespace numpool::bindings
