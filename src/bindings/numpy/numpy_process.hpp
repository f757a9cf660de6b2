#pragma once

#include <atomic>

#include "bindings/numpy/numpy_handler.hpp"

namespace numpool::bindings {

/// Replaces NumPy's default handler, in every thread and context of the process.
///
/// NumPy exports its default handler as a capsule, and every array without a handler of its own
/// holds that capsule. `install` makes the capsule point here. From then on NumPy sends new
/// requests here, and also the frees of older blocks. A block that is in no pool goes to the
/// handler that was installed before.
///
/// A block may outlive any later change. So each handler frees the blocks of every pool that was
/// ever installed, and handlers and their pools are never destroyed. Another package may replace
/// the pointer after us and keep the address of our handler, which stays valid.
class ProcessHandler final : public NumpyHandler {
  public:
    /// From now on the pool serves all requests, except in contexts with an allocator of their own.
    /// A handler that was made for the same pools before is used again. This and the next two
    /// functions need the GIL and an earlier `require_numpy`.
    static void install(threads::Pool& pool, const Fallback& fallback);

    /// New requests go to the earlier handler again. Live blocks still go back to their pools.
    static void uninstall() noexcept;

    /// Gives every handler the functions for now: a profile has begun or ended. Needs the GIL.
    static void renew_all_functions() noexcept;

    /// The handler that serves new requests; null if none does.
    static ProcessHandler* serving() noexcept;

    /// A pool of those that ever served, as pool or fallback, whose blocks may be blocks of one of
    /// these two; null if none. `fallback` may be null.
    static threads::Pool* sharing_blocks_with(threads::Pool& pool,
                                              threads::Pool* fallback) noexcept;

    /// The pool that the address lies in, of all that were ever installed; null if none.
    static threads::Pool* pool_of_any(const void* address) noexcept;

    // Blocks may also belong to other handlers' pools, or to the earlier handler.
    void release_elsewhere(void* block, std::size_t bytes) const noexcept override;
    void* reallocate_elsewhere(void* block, std::size_t bytes) const noexcept override;

  private:
    class Passing;

    ProcessHandler(threads::Pool& pool, const Fallback& fallback, const PyDataMem_Handler& before);

    static ProcessHandler* find(const threads::Pool& pool, const Fallback& fallback,
                                const PyDataMem_Handler& before) noexcept;
    static const PyDataMem_Handler& before_ours(const PyDataMem_Handler* current) noexcept;

    bool serves() const noexcept { return serves_.load(std::memory_order_relaxed); }
    void serve(bool yes) noexcept;

    /// The functions on our pool. `handler_` has them while this handler serves. Otherwise it has
    /// `Passing`'s `malloc` and `calloc`.
    PyDataMemAllocator functions_;
    PyDataMem_Handler handler_;
    /// The handler that NumPy had before ours.
    const PyDataMem_Handler& before_;
    std::atomic<bool> serves_ = false;
    /// The next older one in the list of all.
    ProcessHandler* const next_;
};

}  // namespace numpool::bindings
