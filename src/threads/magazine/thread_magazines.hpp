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
/// The thread uses the magazines through their gates, without a lock. Other threads hold the pool's
/// lock and shut the gates first. The thread itself takes the lock to refill or flush them. The
/// record ends with the thread. The blocks in the magazines are the pool's, and gone once it
/// closed.
struct ThreadRecord {
    /// The thread's others.
    ThreadRecord* next = nullptr;
    struct Thread* thread = nullptr;
    /// The pool's number, which no other pool ever has.
    std::uint64_t number = 0;
    /// Null once the pool has ended these magazines. Guarded by `links_mutex`.
    MagazineOwner* pool = nullptr;
    /// Requests that had been served when the pool last looked.
    std::int64_t requests_seen = 0;
    std::size_t shelf = 0;
};

/// Magazines of pools with size classes lie on one shelf, those of pools with equal blocks on
/// another: a thread that uses a pool of each kind in turn has both at hand. `room` is the most
/// magazines that any such pool has: a class that the pool at hand lacks then leads to a gate that
/// is shut. Room that is not used is not touched, and takes no memory.
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
    /// A thread begins to use the pool, which knows these magazines from now on and opens their
    /// gates. False where the pool takes no more. Called with `links_mutex`.
    virtual bool thread_joins(ThreadRecord& magazines) noexcept = 0;

    /// The thread of these magazines ends: they are given back. Called with `links_mutex`.
    virtual void thread_ends(ThreadRecord& magazines) noexcept = 0;

  protected:
    ~MagazineOwner() = default;
};

/// The magazines of each shelf that the calling thread used last. Never null, so the fast path need
/// not ask: before the first, and after the thread's end, they are magazines without places. Blocks
/// may be released while thread-local storage is torn down, so the pointers have no destructor.
///
/// "initial-exec" makes this one load relative to a register. The default for a shared library
/// calls a function each time, which costs more than all the rest of an operation. The price is
/// room in the static block of thread-local storage, which is scarce: so these are two pointers and
/// no more.
extern thread_local constinit std::array<ThreadRecord*, shelves> magazines_at_hand
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

template <class Block>
ThreadMagazines<Block>& at_hand() noexcept {
    return static_cast<ThreadMagazines<Block>&>(*magazines_at_hand[Shelf<Block>::number]);
}

/// The calling thread's magazines of the pool with this number, at hand from now on; null where it
/// has none.
template <class Block>
ThreadMagazines<Block>* find_thread_magazines(std::uint64_t number) noexcept;

/// New ones, which join the pool. Null where the thread is ending, the pool refuses, or memory is
/// short.
template <class Block>
ThreadMagazines<Block>* make_thread_magazines(std::uint64_t number,
                                              std::span<const pools::MagazineBounds> bounds,
                                              MagazineOwner& pool) noexcept;

/// Ends the record of a thread that ends or has ended; the pool has ended its magazines before.
void end_thread_record(ThreadRecord* record) noexcept;

/// Whether these are known to be the calling thread's: false proves nothing.
inline bool belongs_to_caller(const ThreadRecord& magazines) noexcept {
    return magazines.thread == magazines_at_hand[magazines.shelf]->thread;
}

/// Held while a thread's magazines join a pool or end; taken before the pool's lock.
std::mutex& links_mutex() noexcept;

}  // namespace numpool::threads
