#pragma once

#include <memory>
#include <utility>

#include "bindings/python/numpy_api.hpp"
#include "threads/slab/pool_with_fallback.hpp"

namespace numpool::bindings {

using threads::Fallback;

/// A pool and its fallback, as one of NumPy's memory handlers. A capsule holds it, and each of its
/// arrays holds the capsule. So it lives as long as NumPy may call its functions.
class NumpyHandler : public threads::PoolWithFallback {
  public:
    /// Throws a type_error where a pool can't hand out what NumPy asks for.
    NumpyHandler(threads::Pool& pool, const Fallback& fallback);

    /// `threads::allocator_functions` for this handler, as NumPy's table, or `profiled_functions`
    /// while a profile runs. NumPy calls them from any thread, and realloc also without the GIL.
    PyDataMemAllocator functions() noexcept;

    /// A capsule for NumPy that owns a new handler.
    static py::object capsule(threads::Pool& pool, const Fallback& fallback);

    /// The handler in a capsule that `capsule` made, or null.
    static NumpyHandler* in(PyObject* capsule) noexcept;

    /// Gives a capsule of ours the functions for now: a profile began or ended since it was made.
    static void renew_functions(PyObject* capsule) noexcept;

    /// Adds to a MemoryError what NumPy leaves out: the text of the last refusal, with the pool,
    /// its limit and what to do.
    void name_refusal(py::handle error) const;

    /// Keeps `companion` alive as long as the handler, and so as long as the arrays that it served.
    void keep(std::shared_ptr<const void> companion) noexcept { companion_ = std::move(companion); }

  protected:
    /// Threads that read a table meanwhile get the old or the new functions; both are valid.
    static void replace(PyDataMemAllocator& table, const PyDataMemAllocator& functions) noexcept;

  private:
    std::shared_ptr<const void> companion_;
};

}  // namespace numpool::bindings
