#pragma once

#include <string>
#include <vector>

#include "threads/lifecycle/byte_source.hpp"
#include "threads/waiting/waiting_pool.hpp"

namespace numpool::threads {

struct SharedReservePoolOptions {
    /// The size of every block.
    std::size_t bytes = 0;
    /// How many blocks are kept for when the backing pool refuses.
    std::size_t reserve = 0;
    std::string name;
};

/// Equal blocks of another pool, some of which are kept in reserve. A request that may wait never
/// fails, because blocks of the reserve are either there or come back.
///
/// A request asks the backing pool first, then takes from the reserve, then waits. A released block
/// goes to the first waiter, or else into the reserve, or else back to the backing pool. The
/// backing pool is never called under the lock.
class SharedReservePool : public WaitingPool {
  public:
    /// `source` is the backing pool again, as a ByteSource. Throws BadArgument where the options
    /// make no sense, Exhausted where the backing pool refuses a part of the reserve.
    static PoolHandle<SharedReservePool> create(const SharedReservePoolOptions& options,
                                                Pool& backing, ByteSource& source);

    Block try_acquire() final;
    Block acquire_or_wait(const std::shared_ptr<Waiter>& waiter) final;
    bool look_elsewhere() noexcept final;

    void release(std::byte* block, std::size_t bytes = 0) noexcept final;

    /// Requests the whole reserve. Throws Exhausted where the backing pool refuses a part of it.
    void replenish_or_throw();

    /// Keeps so many blocks from now on. Surplus blocks go back at once. Missing ones are
    /// requested; where they are refused, blocks that are released go to the reserve. Throws
    /// BadArgument, Closed and std::bad_alloc before anything has changed.
    void resize(std::size_t reserve);

    /// Counts a request that gave up. Returns the text of its Exhausted.
    std::string refuse();

    Pool& backing() const noexcept { return *backing_; }
    std::size_t bytes() const noexcept { return bytes_; }
    std::size_t reserve() const noexcept;
    /// How many blocks the reserve has now.
    std::size_t at_hand() const noexcept;

    /// Whether the address is the backing pool's, to which all memory belongs.
    bool owns(const std::byte* address) const noexcept final {
        return is_in_pool_or_layer(*backing_, address);
    }
    PoolFigures figures() const final;
    /// Nothing: the reserve is kept.
    std::size_t trim() final { return 0; }
    void reset_peak() noexcept final;
    void check() const final;
    void close() noexcept final;

  protected:
    /// As in `create`. The reserve is still empty.
    SharedReservePool(const SharedReservePoolOptions& options, Pool& backing, ByteSource& source);
    ~SharedReservePool() override;

  private:
    /// The memory belongs to the backing pool, so addresses find that one.
    bool contains(const std::byte*) const noexcept final { return false; }
    bool has_live_blocks() const noexcept final { return live_ != 0; }
    void end_memory() noexcept final {}

    void replenish();
    Block acquire_from_backing();
    Block acquire_from_reserve();
    Block counted(std::byte* block, bool hit) noexcept;
    void hand_on(Lock& lock, std::byte* block) noexcept;
    void release_to_backing(const std::vector<std::byte*>& blocks) noexcept;

    /// The unused blocks of the reserve. The vector has room for `reserve_`.
    std::vector<std::byte*> at_hand_;
    /// How many blocks to keep.
    std::size_t reserve_;
    std::size_t live_ = 0;
    std::size_t peak_ = 0;
    /// The most that live blocks and the reserve have been together.
    std::size_t peak_held_ = 0;

    const PoolHandle<Pool> backing_;
    /// The backing pool again.
    ByteSource& source_;
    const std::size_t bytes_;
};

}  // namespace numpool::threads
