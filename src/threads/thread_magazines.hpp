#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <span>

#include "pools/magazines.hpp"
#include "threads/fork.hpp"

namespace numpool::threads {

class MagazineOwner;

/// What a pool has magazines for. A thread that uses a pool of each kind by turns has both at hand.
enum class Shelf : std::size_t { size_classes, equal_blocks };

/// One thread's magazines of one pool.
///
/// The thread uses them through their gates, without a lock; everybody else shuts the gates first
/// and holds the pool's lock, as does the thread itself where it refills or flushes them. The
/// record is the thread's: it ends with it. What the magazines hold is the pool's, and gone once it
/// closed.
///
/// Of size classes there is room for as many magazines as any pool may have: whoever looks for his
/// class's among another pool's finds a shut gate at the worst. What of it is not used is not
/// touched, and is no memory.
struct alignas(64) ThreadMagazines {
    /// The thread's others.
    ThreadMagazines* next = nullptr;
    struct Thread* thread = nullptr;
    std::uint64_t key = 0;
    pools::Magazines* all = nullptr;
    /// Null once the pool has let go of it. Guarded by `links_mutex`.
    MagazineOwner* pool = nullptr;
    /// Requests that had been served when the pool last looked.
    std::int64_t requests_seen = 0;
    Shelf shelf = Shelf::size_classes;

    /// They lie right behind the record: no pointer need be followed.
    pools::Magazine* magazines() noexcept { return reinterpret_cast<pools::Magazine*>(this + 1); }
    /// That of the size class with this offset.
    pools::Magazine& magazine_at(std::size_t offset) noexcept {
        auto* const first = reinterpret_cast<std::byte*>(this + 1);
        return *reinterpret_cast<pools::Magazine*>(first + offset);
    }

    /// A record and room for magazines. Throws std::bad_alloc.
    static ThreadMagazines* make(Shelf shelf);
    static void end(ThreadMagazines* magazines) noexcept;
};

/// A pool that has magazines in threads.
class MagazineOwner {
  public:
    /// A thread begins to use the pool: these magazines are known to it from now on, and their
    /// gates are open. False where the pool takes no more. Called with `links_mutex`.
    virtual bool thread_joins(ThreadMagazines& magazines) noexcept = 0;

    /// The thread of these magazines ends: they are given back. Called with `links_mutex`.
    virtual void thread_ends(ThreadMagazines& magazines) noexcept = 0;

  protected:
    ~MagazineOwner() = default;
};

/// The magazines of each shelf that the calling thread used last. Never null: before the first they
/// lead to some whose gates no key opens, so the fast path need not ask, and after the thread's end
/// to such again: blocks are released while thread-local storage is torn down. They are trivially
/// destructible for the same reason.
///
/// "initial-exec" makes it one load relative to a register; the default for a shared library calls
/// a function each time, which costs more than all the rest of an operation. Its price is room in
/// the static block of thread-local storage, which is scarce: hence two pointers and no more.
extern thread_local constinit std::array<ThreadMagazines*, 2> magazines_at_hand
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

inline ThreadMagazines*& at_hand(Shelf shelf) noexcept {
    return magazines_at_hand[static_cast<std::size_t>(shelf)];
}

/// The calling thread's magazines for this key, at hand from now on; null where it has none.
ThreadMagazines* find_thread_magazines(Shelf shelf, std::uint64_t key) noexcept;

/// New ones, which join the pool. Null where the thread is ending, the pool refuses, or memory is
/// short.
ThreadMagazines* make_thread_magazines(Shelf shelf, std::uint64_t key,
                                       std::span<const pools::MagazineBounds> bounds,
                                       MagazineOwner& pool) noexcept;

/// Whether these are the calling thread's, as far as it can tell at a glance: false is no proof.
inline bool belongs_to_caller(const ThreadMagazines& magazines) noexcept {
    return magazines.thread == at_hand(magazines.shelf)->thread;
}

/// Held while the bond between a thread's magazines and their pool is cut, from either side; taken
/// before the pool's lock.
std::mutex& links_mutex() noexcept;

}  // namespace numpool::threads
