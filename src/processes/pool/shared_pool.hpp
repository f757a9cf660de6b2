#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <string>

#include "processes/pool/participant.hpp"
#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/pool_handle.hpp"
#include "threads/lifecycle/pool_lifecycle.hpp"

namespace numpool::processes {

struct SharedPoolOptions {
    std::size_t capacity = 0;
    /// Zero every block when no process holds it any more.
    bool wipe = false;
    std::string name;
};

/// What a process may do with a block that it receives.
enum class Access {
    read_write,     ///< all processes see its writes
    read_only,      ///< its mapping forbids writes
    copy_on_write,  ///< its writes stay its own; only for blocks that no other process writes to
};

/// Blocks of any size in memory that processes share, for any number of threads in each.
///
/// The memory lives while any process has it. A block lives while any process holds it, or a
/// message that leads to it is on its way.
class SharedPool final : public threads::PoolLifecycle, public threads::ByteSource {
  public:
    /// A pool with new memory. Throws Exhausted where the machine refuses that, BadArgument for a
    /// size that no pool has.
    static threads::PoolHandle<SharedPool> create(const SharedPoolOptions& options);
    /// The pool behind a descriptor, which is duplicated. Throws BadArgument where the descriptor
    /// is not a SharedPool's, Exhausted where too many processes use the pool. With `for_copies`
    /// such a process gets the pool for `receive_copy`.
    static threads::PoolHandle<SharedPool> attach(int fd, std::string name, bool for_copies);

    /// A block. Throws Exhausted, whose text has the request and what there is; Closed.
    std::byte* acquire(std::size_t bytes);
    std::byte* try_acquire(std::size_t bytes) noexcept override;
    std::byte* try_acquire_zeroed(std::size_t bytes) noexcept override;
    bool try_release(void* block, std::size_t bytes) noexcept override;
    /// In place where the block is large enough, or by a copy.
    std::byte* try_reallocate(void* block, std::size_t bytes) noexcept override;
    std::size_t usable_size(const void* block) const noexcept override;
    bool leaves_to_others(std::size_t) const noexcept override { return closed(); }
    std::string refusal(std::size_t bytes) const override;
    void release(std::byte* block, std::size_t bytes = 0) noexcept override;

    /// The live block around an address of any mapping: its start there, and its bytes.
    struct Place {
        std::byte* start = nullptr;
        std::size_t bytes = 0;
    };
    std::optional<Place> place_of(const std::byte* address) const noexcept;

    /// A message that leads to the block around this address, which this process holds. Throws
    /// Exhausted where too many messages are on their way; Closed.
    Sent send(const std::byte* address);
    /// Holds the message's block once more. Throws Stale where the message was received before,
    /// expired, or was never sent; Exhausted where the system refuses a mapping; Closed.
    Place receive(const Sent& sent, Access access);

    /// Sends the only use of a block, whose first bytes are a copy of something. None, and the use
    /// ends, where no message can be made.
    std::optional<Sent> send_copy(std::byte* block, std::size_t bytes) noexcept;
    /// Copies the first bytes of a message's block, and ends the message. Throws as `receive`.
    void receive_copy(const Sent& sent, std::byte* to, std::size_t bytes);
    /// Whether this process can hold a block with its own writes: otherwise it needs a copy.
    bool can_copy_on_write() noexcept;
    /// Takes a message back that was not received.
    void take_back(const Sent& sent) noexcept;
    /// The copies that all processes sent, and their bytes.
    std::array<std::uint64_t, 2> copies() const noexcept;

    /// Gives back what ended processes held, and their messages older than so many milliseconds.
    std::size_t reap(std::uint64_t milliseconds);

    threads::PoolFigures figures() const override;
    RegionFigures region_figures() const { return part_.figures(); }
    std::size_t trim() override { return part_.trim(); }
    /// There are no peaks to reset: this process does not see when others allocate.
    void reset_peak() noexcept override {}
    void check() const override { part_.check(); }

    std::size_t capacity() const noexcept { return region_.bytes(); }
    bool wipes() const noexcept { return region_.header().wipe != 0; }
    int fd() const noexcept { return region_.fd(); }
    std::array<std::uint64_t, 2> id() const noexcept { return region_.header().id; }

  private:
    SharedPool(std::uint32_t granules, bool wipe, std::string name);
    SharedPool(int fd, std::string name, bool for_copies);
    ~SharedPool() override = default;

    bool contains(const std::byte* address) const noexcept override;
    bool has_live_blocks() const noexcept override { return uses_.load() != 0; }
    void end_memory() noexcept override { part_.trim(); }
    void pause_for_fork() noexcept override { part_.prepare_fork(); }
    void forget_other_threads() noexcept override { in_child_ = true; }
    void resume_after_fork() noexcept override;

    [[noreturn]] void refuse_message() const;
    std::byte* acquire_block(std::size_t bytes, bool zeroed) noexcept;
    std::optional<BlockId> block_around(const std::byte* address) const noexcept;

    SharedRegion region_;
    Participant part_;
    /// Uses of blocks by this process.
    std::atomic<std::size_t> uses_ = 0;
    /// Bytes of all requests of this process.
    std::atomic<std::size_t> asked_ = 0;
    bool in_child_ = false;
};

}  // namespace numpool::processes
