#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/fork.hpp"
#include "threads/waiting/waiting_pool.hpp"

namespace numpool::threads {

struct SharedReservePoolOptions {
    /// The size of every block.
    std::size_t bytes = 0;
    /// How many blocks are kept for when the backing pool refuses.
    std::size_t reserve = 0;
    std::string name;
};

/// Equal blocks of another pool, some of which are kept in reserve: an allocation that may wait
/// never fails, since blocks of the reserve are either there or come back.
///
/// A request asks the backing pool first, then takes from the reserve, then waits. A released block
/// goes to the first who waits, or else fills the reserve, or else back to the backing pool. The
/// backing pool is never called under the lock.
class SharedReservePool : public WaitingPool, private ForkGuarded {
  public:
    /// The backing pool is also the source. Throws BadArgument where the options make no sense,
    /// Exhausted where it does not give the whole reserve.
    static PoolHandle<SharedReservePool> create(const SharedReservePoolOptions& options,
                                                Pool& backing, ByteSource& source);

    Block try_acquire() final;
    Block acquire_or_wait(const std::shared_ptr<Waiter>& waiter) final;
    Waiter::State state_of(const Waiter& waiter) const noexcept final;
    Block collect(Waiter& waiter) noexcept final;
    bool look_elsewhere() noexcept final;

    void release(std::byte* block, std::size_t bytes = 0) noexcept final;

    /// Asks for the whole reserve; throws Exhausted where it is not to be had.
    void fill_or_throw();

    /// Keeps so many blocks from now on. What is too much goes back at once; what is missing is
    /// asked for, and where it is refused, filled up by what is released. Throws BadArgument,
    /// Closed, and std::bad_alloc before anything changed.
    void resize(std::size_t reserve);

    /// Counts a request that gave up, and says why there was no block. An Exhausted in words.
    std::string refuse();

    Pool& backing() const noexcept { return *backing_; }
    std::size_t bytes() const noexcept { return bytes_; }
    std::size_t reserve() const noexcept;
    /// How many blocks of the reserve are there.
    std::size_t at_hand() const noexcept;

    void add_handle() noexcept final;
    void drop_handle() noexcept final;
    const std::string& name() const noexcept final { return name_; }
    std::string title() const final;
    /// Whether the address is the backing pool's, whose memory it all is.
    bool owns(const std::byte* address) const noexcept final { return backing_->owns(address); }
    PoolFigures figures() const final;
    /// Nothing: the reserve is there to be kept.
    std::size_t trim() final { return 0; }
    void check() const final;
    void close() noexcept final;
    bool closed() const noexcept final;

  protected:
    /// The backing pool is also the source. The reserve is still empty.
    SharedReservePool(const SharedReservePoolOptions& options, Pool& backing, ByteSource& source);
    ~SharedReservePool() override;

  private:
    using Lock = std::unique_lock<std::mutex>;

    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override;

    void fill();
    Block take_from_backing();
    Block take_from_reserve();
    void count_request() noexcept;
    void hand_on(Lock& lock, std::byte* block) noexcept;
    bool grant(Lock& lock, std::byte* block) noexcept;
    void give_back(const std::vector<std::byte*>& blocks) noexcept;
    void settle(Lock& lock) noexcept;
    void require_open() const;

    mutable std::mutex mutex_;
    WaitQueue queue_;
    /// Those of the reserve that are there; has room for all.
    std::vector<std::byte*> at_hand_;
    std::size_t reserve_;
    std::size_t live_ = 0;
    std::size_t handles_ = 0;
    bool closed_ = false;

    std::size_t peak_ = 0;
    std::size_t peak_held_ = 0;
    std::size_t requests_ = 0;
    /// Requests that the backing pool had refused.
    std::size_t hits_ = 0;
    std::size_t waits_ = 0;
    std::size_t failures_ = 0;

    const PoolHandle<Pool> backing_;
    ByteSource& source_;
    const std::size_t bytes_;
    const std::string name_;
};

}  // namespace numpool::threads
