#pragma once

#include <chrono>
#include <cstddef>
#include <new>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "threads/lifecycle/pool_figures.hpp"

namespace numpool::threads {
class ByteSource;
class PoolLifecycle;
class SharedArena;
class SharedBuddyPool;
class SharedFixedPool;
class SharedSlabPool;
}  // namespace numpool::threads

namespace numpool {

/// A pool's figures at one moment.
using Figures = threads::PoolFigures;

constexpr std::size_t unlimited = Figures::no_limit;

/// What `Pool::allocate` throws instead of Exhausted, for code that handles only std::bad_alloc.
class BadAlloc : public std::bad_alloc {
  public:
    explicit BadAlloc(const std::string& text) : text_{text} {}
    const char* what() const noexcept override { return text_.what(); }

  private:
    Exhausted text_;
};

/// A handle on a pool of any kind. A copy is a handle on the same pool. A pool exists as long as it
/// has a handle or a live block, so blocks may outlive all handles. Any thread may use it.
///
/// A block starts at a multiple of 16; a block of less than 16 bytes at a multiple of the largest
/// power of two that is not larger. A handle that was moved from may only be assigned to or
/// destroyed.
class Pool {
  public:
    Pool(const Pool& other) noexcept;
    Pool(Pool&& other) noexcept
        : pool_{std::exchange(other.pool_, nullptr)},
          source_{other.source_},
          natural_align_{other.natural_align_} {}
    Pool& operator=(Pool other) noexcept {
        std::swap(pool_, other.pool_);
        std::swap(source_, other.source_);
        std::swap(natural_align_, other.natural_align_);
        return *this;
    }
    ~Pool();

    /// A block of at least `bytes`. Throws Closed, or Exhausted with a text that names the pool,
    /// the request and what the pool has.
    void* acquire(std::size_t bytes);
    /// Like `acquire`, but returns null instead of throwing.
    void* try_acquire(std::size_t bytes) noexcept;
    /// Like `try_acquire`, but zeroed. Bytes that are known to be zero are not written again.
    void* try_acquire_zeroed(std::size_t bytes) noexcept;

    /// A block of `bytes` with the contents of `block`, up to the smaller size, and releases
    /// `block`. Returns null, and changes nothing, if the pool refuses.
    void* try_reallocate(void* block, std::size_t bytes) noexcept;

    /// Releases a live block; ignores null. `bytes` is the requested size, or 0: with the size, the
    /// release is faster. Aborts if the address does not belong to this pool.
    void release(void* block, std::size_t bytes = 0) noexcept;

    /// The bytes that the live block at this address holds; 0 if there is no such block.
    std::size_t usable_size(const void* block) const noexcept;

    /// For containers: a block that is aligned to any power of two. Throws BadAlloc, Closed.
    void* allocate(std::size_t bytes, std::size_t align);
    /// Releases a block of `allocate`. The two numbers must be the same as there.
    void deallocate(void* block, std::size_t bytes, std::size_t align) noexcept;

    const std::string& name() const noexcept;
    /// Whether the address is in the pool's memory.
    bool owns(const void* address) const noexcept;
    Figures figures() const;
    /// Gives back all pages that no live block needs, and returns their bytes.
    std::size_t trim();
    /// Starts the figures `peak` and `peak_committed` again from the present ones.
    void reset_peak() noexcept;
    /// Throws Corrupted if the pool's records contradict each other.
    void check() const;
    /// Makes all further requests throw Closed. Live blocks stay valid.
    void close() noexcept;
    bool closed() const noexcept;

    /// Whether both are handles on the same pool.
    friend bool operator==(const Pool& one, const Pool& other) noexcept {
        return one.pool_ == other.pool_;
    }

  protected:
    /// Adds a handle. Blocks of 64 bytes and more start at a multiple of `natural_align`.
    Pool(threads::PoolLifecycle& pool, threads::ByteSource& source,
         std::size_t natural_align = 16) noexcept;

  private:
    friend struct PoolAccess;

    threads::PoolLifecycle* pool_;
    threads::ByteSource* source_;
    std::size_t natural_align_;
};

struct SlabOptions {
    /// The most bytes that may be live at once.
    std::size_t limit = unlimited;
    /// Pages that were unused for this time go back to the system.
    std::chrono::milliseconds decay{1000};
    /// Zero each block when it is released.
    bool wipe = false;
    /// Use a thread for `decay`, so that an idle process gives pages back, too.
    bool background = false;
    std::string name = {};
};

/// Blocks of any size. Each thread has a cache of small blocks, which it uses without a lock.
class SlabPool : public Pool {
  public:
    explicit SlabPool(const SlabOptions& options = {});

    // Like those of Pool, but without a virtual call.
    void* acquire(std::size_t bytes);
    void* try_acquire(std::size_t bytes) noexcept;
    void release(void* block, std::size_t bytes = 0) noexcept;

  private:
    explicit SlabPool(threads::SharedSlabPool& pool) noexcept;
    threads::SharedSlabPool* slabs_;
};

struct FixedOptions {
    std::size_t block_size = 0;
    std::size_t blocks = 0;
    /// The most blocks that the pool may grow to; 0 means `blocks`.
    std::size_t max_blocks = 0;
    /// The alignment of blocks. With 0 it depends on the size, and is at most 64.
    std::size_t align = 0;
    /// Zero each block when it is released.
    bool wipe = false;
    std::string name = {};
};

/// A bounded number of equal blocks. Callers can wait for a free block.
class FixedPool : public Pool {
  public:
    /// With `source`, the pool takes its memory from there, and the limit of `source` holds for it,
    /// too. Throws BadArgument.
    explicit FixedPool(const FixedOptions& options);
    FixedPool(const FixedOptions& options, const Pool& source);

    using Pool::acquire;
    using Pool::try_acquire;
    /// A block of the pool's size. Throws Exhausted, Closed.
    void* acquire();
    /// Like `acquire`, but returns null instead of throwing.
    void* try_acquire() noexcept;
    /// Waits if no block is free. The first caller is served first. Throws Exhausted when the time
    /// is over, and Closed.
    void* acquire_for(std::chrono::nanoseconds timeout);
    /// Like that of Pool, but without a virtual call.
    void release(void* block, std::size_t bytes = 0) noexcept;

    std::size_t block_size() const noexcept;

  private:
    explicit FixedPool(threads::SharedFixedPool& pool) noexcept;
    threads::SharedFixedPool* fixed_;
};

struct BuddyOptions {
    std::size_t capacity = 0;
    std::size_t min_block = 4096;
    std::string name = {};
};

/// Blocks of one bounded region. Their sizes are powers of two, and free ones merge again.
class BuddyPool : public Pool {
  public:
    /// `source` is as for FixedPool.
    explicit BuddyPool(const BuddyOptions& options);
    BuddyPool(const BuddyOptions& options, const Pool& source);

  private:
    explicit BuddyPool(threads::SharedBuddyPool& pool) noexcept;
};

struct ArenaOptions {
    std::size_t chunk_size = std::size_t{64} << 10;
    std::string name = {};
};

/// Blocks of any size; a request only moves a pointer. `reset` reuses the memory of all blocks,
/// after they were released. If you do not want to release each block, use instead a
/// std::pmr::monotonic_buffer_resource on the memory_resource of a pool.
class Arena : public Pool {
  public:
    /// `source` is as for FixedPool.
    explicit Arena(const ArenaOptions& options = {});
    Arena(const ArenaOptions& options, const Pool& source);

    /// Starts again in the memory that the arena has. Throws InUse if a block is live, and Closed.
    void reset();

  private:
    explicit Arena(threads::SharedArena& arena) noexcept;
    threads::SharedArena* arena_;
};

}  // namespace numpool
