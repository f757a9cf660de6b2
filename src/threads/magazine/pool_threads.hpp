#pragma once

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "threads/magazine/thread_magazines.hpp"

namespace numpool::threads {

/// The threads that use one pool through magazines of their own, as the pool sees them. The pool's
/// lock guards all functions but the first four.
///
/// The gates of all threads are open or shut together. A thread that finds its gate shut takes the
/// pool's lock, so a pool whose gates are shut is an ordinary locked one.
template <class Block>
class PoolThreads {
  public:
    using Magazines = pools::MagazinesOf<Block>;
    using Own = ThreadMagazines<Block>;

    /// To acquire, the gates open for `pool`. To release, the first magazine's gate opens for
    /// `first_key` and the others for `pools::gate_key` of it. No key may open a gate of another
    /// pool on the same shelf while both live. `bounds` are those of a thread's magazines. Throws
    /// std::bad_alloc.
    PoolThreads(const void* pool, std::vector<pools::MagazineBounds> bounds, GateKey first_key);
    PoolThreads(const PoolThreads&) = delete;
    PoolThreads& operator=(const PoolThreads&) = delete;

    /// The key of the first magazine's gate. A pool that ends leaves its gates shut. So a later
    /// pool may have the same key, and a thread's old magazines still open for neither.
    GateKey first_key() const noexcept { return first_key_; }

    /// Whether the gates are open. Without the lock that may change at any moment.
    bool open() const noexcept { return open_.load(std::memory_order_relaxed); }

    /// The calling thread's magazines, which are at hand from now on; null where it has none.
    Own* find_own() const noexcept {
        Own& last_used = at_hand<Block>();
        return last_used.number == number_ ? &last_used : find_thread_magazines<Block>(number_);
    }

    /// Like `find_own`; where the thread has none and the gates are open, it gets new ones.
    Own* own(MagazinePool& pool) noexcept {
        Own* const known = find_own();
        if (known != nullptr || !open()) return known;
        return make_thread_magazines<Block>(number_, bounds_, pool);
    }

    /// Implements `MagazinePool::thread_joins`. False where memory is short, or after `close`.
    bool join(ThreadRecord& record) noexcept;

    /// Ends the magazines of a thread that is outside; the caller holds `links_mutex`. Their gates
    /// stay shut. Their blocks go to `release(number, blocks, count)`, as in all functions below.
    template <class Release>
    void end_magazines(ThreadRecord& record, Release release) noexcept {
        auto& magazines = static_cast<Own&>(record);
        shut_gates_of(magazines);
        magazines.all->empty(release);
        forget(magazines);
    }

    /// Ends all threads' magazines. No thread can join any more, and the gates stay shut. The
    /// caller holds `links_mutex`.
    template <class Release>
    void close(Release release) noexcept {
        shut_gates();
        closed_ = true;
        while (!threads_.empty()) end_magazines(*threads_.back(), release);
    }

    /// Shuts all gates. All that threads did behind them is then visible to the caller.
    void shut_gates() noexcept;
    /// Opens all gates; does nothing after `close`.
    void open_gates() noexcept;

    /// While it lives, no thread is behind its gate.
    class AllOutside {
      public:
        explicit AllOutside(PoolThreads& threads) noexcept
            : threads_{threads}, was_open_{threads.open()} {
            threads_.shut_gates();
        }
        AllOutside(const AllOutside&) = delete;
        AllOutside& operator=(const AllOutside&) = delete;
        ~AllOutside() {
            if (was_open_) threads_.open_gates();
        }

      private:
        PoolThreads& threads_;
        bool was_open_;
    };

    /// Around a fork: no thread is behind its gate meanwhile.
    void pause_for_fork() noexcept {
        was_open_before_fork_ = open();
        shut_gates();
    }
    void resume_after_fork() noexcept {
        if (was_open_before_fork_) open_gates();
    }

    /// Empties all magazines. Their threads must be outside.
    template <class Release>
    void empty_all(Release release) noexcept {
        for (Own* const thread : threads_) thread->all->empty(release);
    }

    /// Empties the magazines of threads that requested nothing since the last call, and makes the
    /// others narrow.
    template <class Release>
    void decay(Release release) noexcept {
        const std::size_t idle = idle_to_the_front();
        if (idle == 0 && !any_wide()) return;
        const AllOutside outside{*this};
        for (std::size_t i = 0; i < threads_.size(); ++i) {
            if (i < idle) {
                threads_[i]->all->empty(release);
            } else {
                threads_[i]->all->make_narrow(release);
            }
        }
    }

    /// After a fork, in the child: ends the magazines of all other threads, which do not exist
    /// there and were outside.
    template <class Release>
    void keep_only_own(Release release) noexcept {
        Own* const own = find_own();
        for (std::size_t i = threads_.size(); i-- > 0;) {
            Own* const other = threads_[i];
            if (other == own) continue;
            end_magazines(*other, release);
            end_thread_record(other);
        }
    }

    /// Empty magazines, for the counts of ended threads and of threads without magazines.
    Magazines& common() noexcept { return common_; }

    /// Visits `common` and the magazines of every thread.
    template <class Visit>
    void for_each(Visit visit) const {
        visit(common_);
        for (const Own* const thread : threads_) {
            visit(static_cast<const Magazines&>(*thread->all));
        }
    }
    std::vector<const Magazines*> all_magazines() const;

  private:
    static void shut_gates_of(Own& magazines) noexcept;
    void open_gates_of(Own& magazines) const noexcept;
    void forget(Own& magazines) noexcept;
    std::size_t idle_to_the_front() noexcept;
    bool any_wide() const noexcept;

    const void* const pool_;
    /// Unique in the life of the process: threads find their magazines of this pool by it.
    const std::uint64_t number_;
    const GateKey first_key_;
    const std::vector<pools::MagazineBounds> bounds_;
    std::atomic<bool> open_ = true;
    bool was_open_before_fork_ = false;
    bool closed_ = false;
    /// One for each living thread that has used the pool.
    std::vector<Own*> threads_;
    std::unique_ptr<pools::MagazineOf<Block>[]> room_for_common_;
    Magazines common_;
};

}  // namespace numpool::threads
