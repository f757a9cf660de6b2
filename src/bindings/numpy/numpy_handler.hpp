#pragma once

#include <atomic>
#include <cstddef>

#include "bindings/python/numpy_api.hpp"
#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/pool.hpp"

namespace numpool::bindings {

/// The pool that is asked where another can't serve; none where it is null.
struct Fallback {
    threads::PoolHandle<threads::Pool> pool{};
    /// The caller asked for this one: it serves all that the first pool refuses. Otherwise it
    /// serves only what that leaves to others, so that a limit holds.
    bool named = false;
};

/// A pool that serves NumPy, and the one that is asked where the first can't serve.
///
/// It lives as long as anything may call its functions: a capsule holds it, each array holds the
/// capsule. It holds its pools.
class NumpyHandler {
  public:
    /// Throws a type_error where a pool is no source of bytes. A fallback that is the pool itself
    /// is not used.
    NumpyHandler(threads::Pool& pool, const Fallback& fallback);
    NumpyHandler(const NumpyHandler&) = delete;
    NumpyHandler& operator=(const NumpyHandler&) = delete;

    threads::Pool* pool() const noexcept { return pool_.get(); }

    /// Which of the two pools the address lies in; null where neither.
    threads::Pool* owner(const void* address) const noexcept;

    /// Whether NumPy was ever told that there is no memory.
    bool refused() const noexcept { return refused_.load(std::memory_order_relaxed); }

    // For NumpyFunctions.
    template <class Source>
    Source& source() const noexcept {
        return static_cast<Source&>(*source_);
    }
    void* acquire_elsewhere(std::size_t bytes, bool zeroed) const noexcept;
    void release_elsewhere(void* block, std::size_t bytes) const noexcept;
    void* reallocate_elsewhere(void* block, std::size_t bytes) const noexcept;

    /// A capsule for NumPy that owns a new handler.
    static py::object capsule(threads::Pool& pool, const Fallback& fallback);

    /// The handler in a capsule that `capsule` made, or null.
    static NumpyHandler* in(PyObject* capsule) noexcept;

  protected:
    /// Whether this handler was made of these two.
    bool is_of(const threads::Pool& pool, const Fallback& fallback) const noexcept;

    /// Which of the two sources a live block belongs to; null where neither.
    threads::ByteSource* source_of(const void* block) const noexcept;
    void* acquire_here(std::size_t bytes) const noexcept;

  private:
    /// Every refusal passes through here.
    void* passed_on(void* block) const noexcept {
        if (block == nullptr) refused_.store(true, std::memory_order_relaxed);
        return block;
    }

    threads::PoolHandle<threads::Pool> pool_;
    Fallback fallback_;
    threads::ByteSource* source_;
    threads::ByteSource* fallback_source_ = nullptr;
    mutable std::atomic<bool> refused_ = false;
};

/// Copies what fits to the new block and releases the old one. Returns the new block; null, and
/// the old one stays, where that is null.
void* move_contents(threads::ByteSource& from, void* block, void* to, std::size_t bytes) noexcept;

}  // namespace numpool::bindings
