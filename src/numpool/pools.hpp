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

/// What `Pool::allocate` throws, so that code that knows only std::bad_alloc can handle it.
class BadAlloc : public std::bad_alloc {
  public:
    explicit BadAlloc(const std::string& text) : text_{text} {}
    const char* what() const noexcept override { return text_.what(); }

  private:
    Exhausted text_;
};

/// A handle on a pool of any kind. Copies are handles on the same pool. A pool lives while it has
/// a handle or a live block, so blocks may outlive all handles. Any thread may call.
///
/// A block starts at a multiple of 16, or of its size's largest power of two if that is less. A
/// handle that was moved from may only be assigned to and destroyed.
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

    /// A block of at least so many bytes. Throws Exhausted, whose text says what was asked of which
    /// pool and what there was; Closed.
    void* acquire(std::size_t bytes);
    /// The same, but null where `acquire` throws.
    void* try_acquire(std::size_t bytes) noexcept;
    /// Like `try_acquire`, with the requested bytes zeroed. Known zeroes are not written again.
    void* try_acquire_zeroed(std::size_t bytes) noexcept;

    /// A block of `bytes` with the contents of this one, as far as both reach; this one is
    /// released. Null, and nothing has changed, where that is refused.
    void* try_reallocate(void* block, std::size_t bytes) noexcept;

    /// Takes a live block back; null is ignored. `bytes` is the requested size, if known: it makes
    /// a release faster. Aborts where the address is not this pool's.
    void release(void* block, std::size_t bytes = 0) noexcept;

    /// What fits into the live block at this address; 0 where none is.
    std::size_t usable_size(const void* block) const noexcept;

    /// For containers: a block with any alignment that is a power of two. Throws BadAlloc, Closed.
    void* allocate(std::size_t bytes, std::size_t align);
    /// Ends a block of `allocate`, called with the same two numbers.
    void deallocate(void* block, std::size_t bytes, std::size_t align) noexcept;

    const std::string& name() const noexcept;
    /// Whether the address is in the pool's memory.
    bool owns(const void* address) const noexcept;
    Figures figures() const;
    /// Gives back what no live block needs, and returns its bytes.
    std::size_t trim();
    /// From here on `peak` and `peak_committed` are the most since now.
    void reset_peak() noexcept;
    /// Throws Corrupted where the pool's records contradict each other.
    void check() const;
    /// From here on requests throw Closed. Live blocks stay valid.
    void close() noexcept;
    bool closed() const noexcept;

    /// Whether both are handles on one pool.
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
    /// Pages idle for so long go back to the system.
    std::chrono::milliseconds decay{1000};
    /// Zero every block when it comes back.
    bool wipe = false;
    /// A thread gives idle pages back while the whole process idles.
    bool background = false;
    std::string name = {};
};

/// Blocks of any size. A thread's small blocks come from a cache of its own, without a lock.
class SlabPool : public Pool {
  public:
    explicit SlabPool(const SlabOptions& options = {});

    // As in Pool, without a virtual call.
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
    /// The most blocks that it may grow to; 0 means `blocks`.
    std::size_t max_blocks = 0;
    /// Where blocks start; 0 lets the pool choose by the size, 64 at most.
    std::size_t align = 0;
    /// Zero every block when it comes back.
    bool wipe = false;
    std::string name = {};
};

/// Equal blocks, a bounded number of them; callers may wait for one.
class FixedPool : public Pool {
  public:
    /// Takes its memory from `source`, if given; its limit then bounds this pool, too. Throws
    /// BadArgument.
    explicit FixedPool(const FixedOptions& options);
    FixedPool(const FixedOptions& options, const Pool& source);

    using Pool::acquire;
    using Pool::try_acquire;
    /// A block of the pool's size. Throws Exhausted, Closed.
    void* acquire();
    /// The same, but null where there is none.
    void* try_acquire() noexcept;
    /// Waits for a block where there is none; first come, first served. Throws Exhausted once the
    /// time is over; Closed.
    void* acquire_for(std::chrono::nanoseconds timeout);
    /// As in Pool, without a virtual call.
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

/// A bounded region, cut into powers of two that merge again.
class BuddyPool : public Pool {
  public:
    /// As for FixedPool.
    explicit BuddyPool(const BuddyOptions& options);
    BuddyPool(const BuddyOptions& options, const Pool& source);

  private:
    explicit BuddyPool(threads::SharedBuddyPool& pool) noexcept;
};

struct ArenaOptions {
    std::size_t chunk_size = std::size_t{64} << 10;
    std::string name = {};
};

/// A region that moves a pointer for each block. Its memory is reused once `reset` is called, which
/// checks that no block is live. For a region whose blocks nobody releases one by one, put a
/// std::pmr::monotonic_buffer_resource on the memory_resource of any pool.
class Arena : public Pool {
  public:
    /// As for FixedPool.
    explicit Arena(const ArenaOptions& options = {});
    Arena(const ArenaOptions& options, const Pool& source);

    /// Begins anew in the memory that it has. Throws InUse where a block is live; Closed.
    void reset();

  private:
    explicit Arena(threads::SharedArena& arena) noexcept;
    threads::SharedArena* arena_;
};

}  // namespace numpool
