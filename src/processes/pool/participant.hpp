#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "processes/region/shared_region.hpp"
#include "processes/region/slot_lock.hpp"
#include "processes/tables/granule_table.hpp"
#include "processes/tables/message_table.hpp"

namespace numpool::processes {

/// What one process holds of a shared pool, in blocks and bytes.
struct ProcessFigures {
    std::uint32_t pid = 0;
    bool alive = false;
    std::size_t blocks = 0;
    std::size_t bytes = 0;
};

/// A region's figures at one moment, by all processes.
struct RegionFigures {
    std::size_t blocks = 0;      ///< live, each counted once
    std::size_t in_use = 0;      ///< their bytes, as rounded
    std::size_t cached = 0;      ///< bytes that some process keeps for its next request
    std::size_t committed = 0;   ///< bytes that have memory behind them
    std::size_t in_transit = 0;  ///< messages on their way
    std::vector<ProcessFigures> processes;
};

/// This process's part in a shared pool: it acquires, holds, sends and receives blocks.
///
/// No lock is shared with other processes. Threads of this process share a mutex. What an ended
/// process held goes back in `reap`. Every process may call it, and a request that finds no memory
/// does.
class Participant {
  public:
    /// Takes a slot. Where `most_processes` use the pool already, it stays `outside`, or throws
    /// Exhausted.
    explicit Participant(SharedRegion& region, bool may_stay_outside = false);
    Participant(const Participant&) = delete;
    Participant& operator=(const Participant&) = delete;
    /// Frees all cached blocks. Held ones stay held until the process ends.
    ~Participant();

    struct Acquired {
        BlockId block = 0;
        std::byte* start = nullptr;
        bool zeroed = false;
    };
    /// A block that this process holds once; `start` is null where there is no memory.
    Acquired try_acquire(std::size_t bytes) noexcept;

    /// Ends one use of a block that this process holds.
    void drop(BlockId block) noexcept;

    /// A message that leads to a block that this process holds. None where there is no room.
    std::optional<Sent> send(BlockId block) noexcept;
    /// Holds the message's block once more. False where the message was received before, expired,
    /// or was never sent.
    bool receive(const Sent& sent) noexcept;
    /// Ends the message, and copies the first bytes of its block. A process that is `outside` can
    /// do this, too. False as `receive`, or where the block has fewer bytes.
    bool receive_copy(const Sent& sent, std::byte* to, std::size_t bytes) noexcept;

    /// Whether this process holds the block.
    bool holds(BlockId block) const noexcept;
    const GranuleTable& granules() const noexcept { return granules_; }

    /// Gives back what ended processes held, and their messages that are older than so many
    /// milliseconds. Returns the bytes that became free.
    std::size_t reap(std::uint64_t older_than) noexcept;
    /// Gives all memory back that no live block needs. Returns its bytes.
    std::size_t trim() noexcept;

    RegionFigures figures() const;
    std::size_t requests() const noexcept { return requests_; }
    std::size_t failures() const noexcept { return failures_; }
    /// Throws Corrupted where the records contradict each other.
    void check() const;

    /// Around a fork. The child's slot is claimed before the fork, and holds what the parent holds.
    void prepare_fork() noexcept;
    void after_fork_in_parent() noexcept;
    void after_fork_in_child() noexcept;
    /// True in a process without a slot: it can use the blocks that it had before a fork, and
    /// `receive_copy`, no more.
    bool outside() const noexcept { return outside_; }

  private:
    using Lock = std::scoped_lock<std::mutex>;

    std::optional<Member> claim_slot(SlotLock& lock) noexcept;
    std::optional<BlockId> acquire_small(std::uint32_t small_class, bool& zeroed) noexcept;
    std::optional<BlockId> acquire_span(std::uint32_t granules, bool& zeroed) noexcept;
    std::optional<BlockId> take_cached(std::uint32_t granules) noexcept;
    std::optional<BlockId> take_returned(std::uint32_t granules) noexcept;
    void expect_back(BlockId block) noexcept;
    void forget_freed() noexcept;
    bool return_to_maker(BlockId block) noexcept;
    void keep(BlockId block) noexcept;
    bool refill(std::uint32_t small_class) noexcept;
    /// Caches up to `most` unused blocks of a slab; returns how many.
    std::size_t cache_unused(std::uint32_t granule, std::size_t most) noexcept;
    /// Holds a block that this process has cached; false where another process has got it.
    bool use_cached(BlockId block) noexcept;
    void drop_last(BlockId block) noexcept;
    bool make_room_to_cache(std::uint32_t granules) noexcept;
    void cache(BlockId block) noexcept;
    void free_if_unreachable(BlockId block) noexcept;
    void wipe(BlockId block) noexcept;

    std::size_t reap_dead() noexcept;
    std::size_t free_unreachable() noexcept;
    void clean_up_after(unsigned slot) noexcept;
    void release_dead(BlockId block, unsigned slot) noexcept;
    std::size_t free_cached(bool of_others) noexcept;
    template <class Visit>
    void for_each_block(Visit visit) const;

    SharedRegion& region_;
    std::mutex mutex_;
    SlotLock lock_;
    Member self_;
    GranuleTable granules_;
    MessageTable messages_;
    bool outside_ = false;

    /// Blocks that this process has cached. Other processes may have got some of them since.
    std::array<std::vector<BlockId>, small_classes> small_;
    std::map<std::uint32_t, std::vector<BlockId>> spans_;
    std::size_t cached_granules_ = 0;
    /// Spans that this process made and sent, with their granules. Their last user gives them back.
    std::set<std::pair<std::uint32_t, BlockId>> lent_;
    std::array<std::uint32_t, small_classes> last_slab_{};
    /// Uses beyond the first of blocks that were received more than once.
    std::unordered_map<BlockId, std::uint32_t> more_uses_;
    std::size_t requests_ = 0;
    std::size_t failures_ = 0;

    std::optional<SlotLock> child_lock_;
    std::optional<Member> child_;
};

}  // namespace numpool::processes
