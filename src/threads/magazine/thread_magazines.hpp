#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <span>

#include "pools/fixed/ledger.hpp"
#include "pools/magazine/class_offset.hpp"
#include "pools/magazine/magazines.hpp"
#include "threads/lifecycle/fork_guarded.hpp"

namespace numpool::threads {

class MagazinePool;

/// One thread's part in one pool, for magazines of any kind of block.
///
/// The thread uses the magazines through their gates, without a lock. Another thread holds the
/// pool's lock and shuts the gates first. To refill or flush its magazines, the thread itself holds
/// the lock. The record belongs to the thread and ends with it. The blocks in the magazines belong
/// to the pool, which takes them back when it closes.
struct ThreadRecord {
    /// The thread's next record.
    ThreadRecord* next = nullptr;
    struct Thread* thread = nullptr;
    /// The pool's number: unique in the life of the process.
    std::uint64_t number = 0;
    /// Null once the pool has ended these magazines. Guarded by `links_mutex`.
    MagazinePool* pool = nullptr;
    /// The number of requests at the pool's last `decay`.
    std::int64_t requests_seen = 0;
    std::size_t shelf = 0;
};

/// A thread has the magazines of one pool on each shelf at hand. Pools with size classes use one
/// shelf, pools with equal blocks the other: so a thread may use one of each by turns. A record has
/// `room` for the largest number of magazines. So a look-up by class in another pool's record finds
/// a shut gate, or one that was never opened: that one opens for key 0 only, the tag of no pool,
/// and its magazine has no room. The unused part is never touched and takes no memory.
template <class Block>
struct Shelf;
template <>
struct Shelf<pools::FreeBlock> {
    static constexpr std::size_t number = 0;
    static constexpr std::size_t room = SizeClasses::most_in_all;
};
template <>
struct Shelf<pools::RecordedBlock> {
    static constexpr std::size_t number = 1;
    static constexpr std::size_t room = 1;
};
inline constexpr std::size_t shelves = 2;

/// One thread's magazines of one pool.
template <class Block>
struct alignas(64) ThreadMagazines : ThreadRecord {
    pools::MagazinesOf<Block>* all = nullptr;

    /// They lie right behind the record, so finding them needs no load.
    pools::MagazineOf<Block>* magazines() noexcept {
        return reinterpret_cast<pools::MagazineOf<Block>*>(this + 1);
    }
    pools::MagazineOf<Block>& magazine_at(pools::ClassOffset offset) noexcept {
        return pools::magazine_at(magazines(), offset);
    }
};
static_assert(sizeof(ThreadMagazines<pools::FreeBlock>) == 64);

/// A pool that has magazines in threads.
class MagazinePool {
  public:
    /// A thread begins to use the pool with these magazines. Their gates are open where the pool's
    /// are. False where the pool accepts no more threads. Called with `links_mutex`.
    virtual bool thread_joins(ThreadRecord& magazines) noexcept = 0;

    /// The thread of these magazines ends: the pool takes their blocks back. Called with
    /// `links_mutex`.
    virtual void thread_ends(ThreadRecord& magazines) noexcept = 0;

  protected:
    ~MagazinePool() = default;
};

/// The magazines that the calling thread used last, of each shelf. Never null: before the first use
/// and after the thread's end they are magazines without places, so the fast path need not check.
/// Blocks are released while thread-local storage is torn down, so these pointers are trivially
/// destructible.
///
/// "initial-exec" makes the access one load relative to a register. The default for a shared
/// library calls a function, which costs more than the rest of an operation. It uses the static
/// block of thread-local storage, which is scarce: hence only two pointers.
extern thread_local constinit std::array<ThreadRecord*, shelves> magazines_at_hand
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

template <class Block>
ThreadMagazines<Block>& at_hand() noexcept {
    return static_cast<ThreadMagazines<Block>&>(*magazines_at_hand[Shelf<Block>::number]);
}

/// The calling thread's magazines of the pool with this number, at hand from now on. Null where it
/// has none.
template <class Block>
ThreadMagazines<Block>* find_thread_magazines(std::uint64_t number) noexcept;

/// New magazines, which join the pool. Null where the thread is ending, the pool refuses, or memory
/// or a key for thread-local data is short.
template <class Block>
ThreadMagazines<Block>* make_thread_magazines(std::uint64_t number,
                                              std::span<const pools::MagazineBounds> bounds,
                                              MagazinePool& pool) noexcept;

/// Frees a record whose magazines its pool has ended.
void end_thread_record(ThreadRecord* record) noexcept;

/// True only for magazines of the calling thread. A quick look: it may be false for those, too.
inline bool belongs_to_caller(const ThreadRecord& magazines) noexcept {
    return magazines.thread == magazines_at_hand[magazines.shelf]->thread;
}

/// Held while a thread's magazines are linked with their pool or unlinked, from either side. Taken
/// before the pool's lock.
std::mutex& links_mutex() noexcept;

}  // namespace numpool::threads
