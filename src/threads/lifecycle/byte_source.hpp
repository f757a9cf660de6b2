#pragma once

#include <cstddef>
#include <string>

namespace numpool::threads {

class Pool;

/// Blocks of any size, found again by their address alone: what an allocator hook, like NumPy's,
/// needs of a pool. Any thread may call; nothing throws, waits, or calls back into Python while it
/// holds a lock.
///
/// A pool's class overrides these with `final` functions, so that a caller that knows the class
/// calls them directly.
class ByteSource {
  public:
    ByteSource() = default;
    ByteSource(const ByteSource&) = delete;
    ByteSource& operator=(const ByteSource&) = delete;

    /// A block of at least so many bytes, aligned for any object of that size (to 16 at most).
    /// Null, and nothing has changed, where it is refused.
    virtual std::byte* try_acquire(std::size_t bytes) noexcept = 0;

    /// Like `try_acquire`, with the requested bytes zeroed.
    virtual std::byte* try_acquire_zeroed(std::size_t bytes) noexcept = 0;

    /// Takes a live block back; null is ignored. `bytes` is the requested size, as far as the
    /// caller knows it. False, and nothing has changed, where the address is not this source's; but
    /// a source may return a block of another source of its class to that one, and return true.
    virtual bool try_release(void* block, std::size_t bytes) noexcept = 0;

    /// A block of `bytes` with the contents of this one, as far as both reach; this one is
    /// released. Null, and nothing has changed, where that is refused or the address is not this
    /// source's.
    virtual std::byte* try_reallocate(void* block, std::size_t bytes) noexcept = 0;

    /// The size of the live block at this address; 0 where it is not this source's.
    virtual std::size_t usable_size(const void* block) const noexcept = 0;

    /// Whether another source may serve a request of so many bytes that this one refused. True
    /// where this kind of pool or its number of blocks can't serve it, or the pool is closed. False
    /// where a limit or the system refused: another source would hide that.
    virtual bool leaves_to_others(std::size_t bytes) const noexcept = 0;

    /// The error text of a request for so many bytes that this source has just refused.
    virtual std::string refusal(std::size_t bytes) const = 0;

  protected:
    ~ByteSource() = default;
};

/// What serves the users of this pool: its layer, if it has one, or else the pool itself. Null
/// where that is no source.
ByteSource* source_of(Pool& pool) noexcept;

}  // namespace numpool::threads
