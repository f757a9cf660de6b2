#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <utility>

namespace numpool::threads {

/// Whoever must get a block back when its last user lets go.
class BlockOwner {
  public:
    BlockOwner() = default;
    BlockOwner(const BlockOwner&) = delete;
    BlockOwner& operator=(const BlockOwner&) = delete;

    /// Ends the use of a live block; `bytes` is what was asked for, as far as the caller knows.
    /// From any thread; afterwards the owner may be gone.
    virtual void release(std::byte* block, std::size_t bytes = 0) noexcept = 0;

    /// The same for a block that was not brought to use, whose bytes may be anything.
    virtual void release_unused(std::byte* block) noexcept { release(block); }

  protected:
    virtual ~BlockOwner() = default;
};

/// A pool's figures at one moment. Bytes, then counts.
struct PoolFigures {
    std::size_t requested = 0;       ///< live blocks, as asked for
    std::size_t in_use = 0;          ///< live blocks, as rounded
    std::size_t peak = 0;            ///< the most that in_use has been
    std::size_t cached = 0;          ///< committed, and in no live block
    std::size_t committed = 0;       ///< holding pages, as far as the pool knows
    std::size_t peak_committed = 0;  ///< the most that committed has been
    std::size_t mapped = 0;          ///< addresses taken
    std::size_t limit = 0;           ///< what in_use may reach; no_limit if nothing bounds it
    std::size_t blocks = 0;          ///< live blocks
    std::size_t requests = 0;        ///< blocks handed out
    std::size_t asked = 0;           ///< their bytes, as asked for
    std::size_t hits = 0;            ///< of those, blocks that had been used before
    std::size_t growths = 0;         ///< times the pool took more address space
    std::size_t waits = 0;           ///< requests that had to wait
    std::size_t failures = 0;        ///< requests that were refused

    static constexpr std::size_t no_limit = ~std::size_t{0};
};

/// A pool that any thread may use.
///
/// It lives as long as anyone can reach it: as long as there is a handle (a Python object) or a
/// live block. The last of both to go destroys it, so arrays may outlive the pool they came from.
class Pool : public BlockOwner {
  public:
    virtual void add_handle() noexcept = 0;
    virtual void drop_handle() noexcept = 0;

    virtual const std::string& name() const noexcept = 0;

    /// What errors call it: its kind, and its name if it has one.
    virtual std::string title() const = 0;

    virtual bool owns(const std::byte* address) const noexcept = 0;
    virtual PoolFigures figures() const = 0;

    /// Gives back what no live block needs, and says how many bytes.
    virtual std::size_t trim() = 0;

    /// Throws Corrupted where the pool's records contradict each other.
    virtual void check() const = 0;

    /// No more requests: they throw Closed, and so do those that wait. Live blocks stay good; the
    /// memory goes back with the last of them.
    virtual void close() noexcept = 0;
    virtual bool closed() const noexcept = 0;

    /// Whether other pools may draw on it, as they hold their own lock: whether acquiring and
    /// releasing more than `SizeClasses::largest` bytes takes no lock but the pool's own, those of
    /// what it draws on in turn, and inner ones.
    virtual bool may_be_drawn_on() const noexcept { return false; }
    /// How many pools hold memory of this one: see PoolPages.
    std::size_t drawing_pools() const noexcept { return drawing_.load(std::memory_order_relaxed); }
    void begin_drawing() noexcept { drawing_.fetch_add(1, std::memory_order_relaxed); }
    void end_drawing() noexcept { drawing_.fetch_sub(1, std::memory_order_relaxed); }

  private:
    std::atomic<std::size_t> drawing_ = 0;
};

/// A handle on a pool, counted in the pool itself.
template <class SomePool>
class PoolHandle {
  public:
    PoolHandle() noexcept = default;
    explicit PoolHandle(SomePool* pool) noexcept : pool_{pool} {
        if (pool_ != nullptr) pool_->add_handle();
    }
    PoolHandle(const PoolHandle& other) noexcept : PoolHandle{other.pool_} {}
    PoolHandle(PoolHandle&& other) noexcept : pool_{other.pool_} { other.pool_ = nullptr; }
    PoolHandle& operator=(PoolHandle other) noexcept {
        std::swap(pool_, other.pool_);
        return *this;
    }
    ~PoolHandle() {
        if (pool_ != nullptr) pool_->drop_handle();
    }

    SomePool* get() const noexcept { return pool_; }
    SomePool* operator->() const noexcept { return pool_; }
    SomePool& operator*() const noexcept { return *pool_; }

  private:
    SomePool* pool_ = nullptr;
};

}  // namespace numpool::threads
