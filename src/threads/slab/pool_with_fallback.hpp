#pragma once

#include <atomic>
#include <cstddef>
#include <string>

#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/pool.hpp"

namespace numpool::threads {

/// The pool that is asked where the first pool refuses. There is none where `pool` is null.
struct Fallback {
    PoolHandle<Pool> pool{};
    /// True where the user named it: then it serves all that the first pool refuses. Otherwise it
    /// serves only what the first pool leaves to others, so that a limit holds.
    bool named = false;
    /// It serves only requests of this many bytes and more.
    std::size_t least = 0;

    bool operator==(const Fallback& other) const noexcept {
        return pool.get() == other.pool.get() && named == other.named && least == other.least;
    }
};

/// A pool that serves an allocator hook, and its fallback: the context of AllocatorFunctions. It
/// holds both pools.
class PoolWithFallback {
  public:
    /// Throws std::bad_cast where a pool is no ByteSource. A fallback that is the pool itself is
    /// not used.
    PoolWithFallback(Pool& pool, const Fallback& fallback);
    PoolWithFallback(const PoolWithFallback&) = delete;
    PoolWithFallback& operator=(const PoolWithFallback&) = delete;
    virtual ~PoolWithFallback() { delete refusal_.load(std::memory_order_relaxed); }

    Pool* pool() const noexcept { return pool_.get(); }
    /// Null where there is none.
    Pool* fallback() const noexcept { return fallback_.pool.get(); }
    /// Whether this was made of these two.
    bool is_of(const Pool& pool, const Fallback& fallback) const noexcept;

    /// Which of the two pools the address lies in; null where neither.
    Pool* pool_of(const void* address) const noexcept;

    /// The error text of the last refused request, with the figures of that moment. Empty if none
    /// was refused since the last call.
    std::string pop_refusal() const;

    // For AllocatorFunctions.
    template <class Source>
    Source& source() const noexcept {
        return static_cast<Source&>(*source_);
    }
    /// For a request that the pool refused: the fallback's block, or null.
    void* acquire_elsewhere(std::size_t bytes, bool zeroed) const noexcept;
    /// For a block that is not the pool's. Aborts where it is not the fallback's either: freeing it
    /// anyhow would damage its owner.
    virtual void release_elsewhere(void* block, std::size_t bytes) const noexcept;
    /// For a block that is not the pool's, or that the pool could not reallocate.
    virtual void* reallocate_elsewhere(void* block, std::size_t bytes) const noexcept;

  protected:
    /// Which of the two sources a live block belongs to; null where neither.
    ByteSource* source_of(const void* block) const noexcept;
    void* acquire_here(std::size_t bytes) const noexcept;

  private:
    /// Whether the fallback serves a request that the pool refused.
    bool passes_on(std::size_t bytes) const noexcept;
    /// Every refusal passes through here.
    void* passed_on(void* block, std::size_t bytes) const noexcept {
        if (block == nullptr) [[unlikely]]
            note_refusal(bytes);
        return block;
    }
    void note_refusal(std::size_t bytes) const noexcept;

    PoolHandle<Pool> pool_;
    Fallback fallback_;
    /// The two pools again, as sources.
    ByteSource* source_;
    ByteSource* fallback_source_ = nullptr;
    /// The text of the last refusal; null if there was none. A mutex would have to be prepared for
    /// forks.
    mutable std::atomic<const std::string*> refusal_ = nullptr;
};

/// Copies what fits to the new block and releases the old one. Returns the new block; null, and
/// the old one stays, where that is null.
void* move_contents(ByteSource& from, void* block, void* to, std::size_t bytes) noexcept;

}  // namespace numpool::threads
