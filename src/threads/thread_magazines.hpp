#pragma once

#include <cstdint>
#include <mutex>
#include <span>

#include "pools/magazines.hpp"
#include "threads/fork.hpp"
#include "threads/owner_gate.hpp"

namespace numpool::threads {

class MagazineOwner;

/// One thread's magazines of one pool.
///
/// The thread uses them behind the gate, without a lock; everybody else shuts the gate first and
/// holds the pool's lock, as does the thread itself where it refills or flushes them. The record is
/// the thread's: it ends with it. The magazines are the pool's, and gone once it closed.
struct alignas(64) ThreadMagazines {
    OwnerGate gate;

    /// The thread's others.
    ThreadMagazines* next = nullptr;
    struct Thread* thread = nullptr;
    std::uint64_t key = 0;
    pools::Magazines* all = nullptr;
    /// Null once the pool has let go of it. Guarded by `links_mutex`.
    MagazineOwner* pool = nullptr;
    /// Requests that had been served when the pool last looked.
    std::int64_t requests_seen = 0;

    /// They lie right behind the record: no pointer need be followed.
    pools::Magazine* magazines() noexcept { return reinterpret_cast<pools::Magazine*>(this + 1); }
    /// That of the size class with this offset.
    pools::Magazine& magazine_at(std::size_t offset) noexcept {
        auto* const first = reinterpret_cast<std::byte*>(this + 1);
        return *reinterpret_cast<pools::Magazine*>(first + offset);
    }

    /// A record and room for `count` magazines. Throws std::bad_alloc.
    static ThreadMagazines* make(std::size_t count);
    static void end(ThreadMagazines* magazines) noexcept;
};

/// A pool that has magazines in threads.
class MagazineOwner {
  public:
    /// A thread begins to use the pool: these magazines are known to it from now on, and their gate
    /// is open. False where the pool takes no more. Called with `links_mutex`.
    virtual bool thread_joins(ThreadMagazines& magazines) noexcept = 0;

    /// The thread of these magazines ends: they are given back. Called with `links_mutex`.
    virtual void thread_ends(ThreadMagazines& magazines) noexcept = 0;

  protected:
    ~MagazineOwner() = default;
};

/// The magazines that the calling thread used last. Never null: before the first it leads to some
/// whose gate no key opens, so the fast path need not ask, and after the thread's end to such
/// again: blocks are released while thread-local storage is torn down. It is trivially
/// destructible for the same reason.
///
/// "initial-exec" makes it one load relative to a register; the default for a shared library calls
/// a function each time, which costs more than all the rest of an operation. Its price is room in
/// the static block of thread-local storage, which is scarce: hence one pointer.
extern thread_local constinit ThreadMagazines* magazines_at_hand
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/// The calling thread's magazines for this key, at hand from now on; null where it has none.
ThreadMagazines* find_thread_magazines(std::uint64_t key) noexcept;

/// New ones, which join the pool. Null where the thread is ending, the pool refuses, or memory is
/// short.
ThreadMagazines* make_thread_magazines(std::uint64_t key,
                                       std::span<const pools::MagazineBounds> bounds,
                                       MagazineOwner& pool) noexcept;

/// Whether these are the calling thread's, as far as it can tell at a glance: false is no proof.
inline bool belongs_to_caller(const ThreadMagazines& magazines) noexcept {
    return magazines.thread == magazines_at_hand->thread;
}

/// Held while the bond between a thread's magazines and their pool is cut, from either side; taken
/// before the pool's lock.
std::mutex& links_mutex() noexcept;

}  // namespace numpool::threads
