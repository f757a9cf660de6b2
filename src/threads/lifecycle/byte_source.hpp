#pragma once

#include <cstddef>

namespace numpool::threads {

/// Blocks of whatever size is asked for, found again by their address alone: what an allocator
/// hook, like NumPy's, needs of a pool. Any thread may call; nothing throws, waits, or calls back
/// into Python while it holds a lock.
///
/// A pool's class overrides these with `final` verbs, so that whoever knows the class calls them
/// directly.
class ByteSource {
  public:
    ByteSource() = default;
    ByteSource(const ByteSource&) = delete;
    ByteSource& operator=(const ByteSource&) = delete;

    /// A block of at least so many bytes, aligned for whatever fits into them (16 bytes at most);
    /// null, and nothing has changed, where it cannot be had.
    virtual std::byte* try_acquire(std::size_t bytes) noexcept = 0;

    /// The same, the bytes asked for all nought.
    virtual std::byte* try_acquire_zeroed(std::size_t bytes) noexcept = 0;

    /// Takes a live block back; null is none. False, and nothing has changed, where the address is
    /// not this source's. `bytes` is what was asked for, as far as the caller knows.
    virtual bool try_release(void* block, std::size_t bytes) noexcept = 0;

    /// A block of `bytes` with the contents of this one, as far as both reach; this one is gone.
    /// Null where that is refused, or the address is not this source's: it is then as it was.
    virtual std::byte* try_reallocate(void* block, std::size_t bytes) noexcept = 0;

    /// What the live block at this address holds; 0 where it is not this source's.
    virtual std::size_t usable_size(const void* block) const noexcept = 0;

    /// Whether another source may serve a request of so many bytes that this one refused: its kind
    /// or its number of blocks can't serve it, or it is closed. False where a limit or the system
    /// refused: then nobody else may serve it unseen.
    virtual bool leaves_to_others(std::size_t bytes) const noexcept = 0;

  protected:
    ~ByteSource() = default;
};

}  // namespace numpool::threads
