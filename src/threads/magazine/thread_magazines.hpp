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

class MagazineOwner;

/// What a thread has of one pool, whatever its magazines hold.
///
/// The thread uses the magazines through their gates, without a lock. Other threads shut the gates
/// first and hold the pool's lock; so does the thread itself where it refills or flushes them. The
/// record belongs to the thread and ends with it. The blocks in the magazines belong to the pool,
/// which takes them back when it closes.
struct ThreadRecord {
    /// The thread's next record.
    ThreadRecord* next = nullptr;
    struct Thread* thread = nullptr;
    /// The pool's number: unique in the life of the process.
    std::uint64_t number = 0;
    /// Null once the pool has ended these magazines. Guarded by `links_mutex`.
    MagazineOwner* pool = nullptr;
    /// Requests that had been served when the pool last looked.
    std::int64_t requests_seen = 0;
    std::size_t shelf = 0;
};

/// Magazines of pools with size classes lie on one shelf, those of pools with equal blocks on
/// another: a thread that uses a pool of each kind by turns has both at hand. Each record has
/// `room` for the largest number of magazines: a look-up by class in another pool's record finds a
/// shut gate at worst. The unused part is never touched, so it takes no memory.
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

    /// They lie right behind the record, so they are found without a load.
    pools::MagazineOf<Block>* magazines() noexcept {
        return reinterpret_cast<pools::MagazineOf<Block>*>(this + 1);
    }
    pools::MagazineOf<Block>& magazine_at(pools::ClassOffset offset) noexcept {
        return pools::magazine_at(magazines(), offset);
    }
};
static_assert(sizeof(ThreadMagazines<pools::FreeBlock>) == 64);

/// A pool that has magazines in threads.
class MagazineOwner {
  public:
    /// A thread begins to use the pool with these magazines. Their gates are open where the pool's
    /// are. False where the pool accepts no more threads. Called with `links_mutex`.
    virtual bool thread_joins(ThreadRecord& magazines) noexcept = 0;

    /// The thread of these magazines ends: the pool takes their blocks back. Called with
    /// `links_mutex`.
    virtual void thread_ends(ThreadRecord& magazines) noexcept = 0;

  protected:
    ~MagazineOwner() = default;
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
                                              MagazineOwner& pool) noexcept;

/// Frees a record that its pool has let go of, when its thread ends or has ended.
void end_thread_record(ThreadRecord* record) noexcept;

/// Whether these are the calling thread's. A quick look: false proves nothing.
inline bool belongs_to_caller(const ThreadRecord& magazines) noexcept {
    return magazines.thread == magazines_at_hand[magazines.shelf]->thread;
}

/// Held while a thread's magazines are linked with their pool or unlinked, from either side. Taken
/// before the pool's lock.
std::mutex& links_mutex() noexcept;

}  // namespace numpool::threads
