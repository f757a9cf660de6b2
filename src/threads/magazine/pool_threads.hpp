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

    /// The gates open for `pool` and, for blocks that come back, for keys: `first_key` opens the
    /// first magazine's gate, `pools::gate_key` has the others. No key may open a gate of another
    /// pool on the same shelf while both live. `bounds` are those of a thread's magazines. Throws
    /// std::bad_alloc.
    PoolThreads(const void* pool, std::vector<pools::MagazineBounds> bounds, GateKey first_key);
    PoolThreads(const PoolThreads&) = delete;
    PoolThreads& operator=(const PoolThreads&) = delete;

    /// What opens the first magazine's gate. A pool that ends leaves its gates shut, so what a
    /// thread remembers of it opens nothing.
    GateKey first_key() const noexcept { return first_key_; }

    /// Whether the gates are open; others may change it meanwhile.
    bool open() const noexcept { return open_.load(std::memory_order_relaxed); }

    /// The calling thread's magazines, which are at hand from now on; null where it has none.
    Own* find_own() const noexcept {
        Own& last_used = at_hand<Block>();
        return last_used.number == number_ ? &last_used : find_thread_magazines<Block>(number_);
    }

    /// Like `find_own`; where the thread has none and the gates are open, it gets new ones.
    Own* own(MagazineOwner& pool) noexcept {
        Own* const known = find_own();
        if (known != nullptr || !open()) return known;
        return make_thread_magazines<Block>(number_, bounds_, pool);
    }

    /// Implements `MagazineOwner::thread_joins`. False where memory is short, or after `retire`.
    bool join(ThreadRecord& record) noexcept;

    /// Ends the magazines of a thread that is outside; `links_mutex` is held. Their gates stay
    /// shut. Their blocks go to `give(number, blocks, count)`, as in all functions below.
    template <class Give>
    void let_go(ThreadRecord& record, Give give) noexcept {
        auto& magazines = static_cast<Own&>(record);
        shut_gates_of(magazines);
        magazines.all->empty(give);
        forget(magazines);
    }

    /// Ends all threads' magazines: none can join any more, and the gates stay shut. `links_mutex`
    /// is held.
    template <class Give>
    void retire(Give give) noexcept {
        shut_gates();
        retired_ = true;
        while (!threads_.empty()) let_go(*threads_.back(), give);
    }

    /// Shuts all gates. All that threads did behind them is then visible to the caller.
    void shut_gates() noexcept;
    /// Opens all gates; does nothing after `retire`.
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
    template <class Give>
    void empty_all(Give give) noexcept {
        for (Own* const thread : threads_) thread->all->empty(give);
    }

    /// Empties the magazines of threads that requested nothing since the last call, and makes the
    /// others narrow.
    template <class Give>
    void decay(Give give) noexcept {
        const std::size_t idle = idle_to_the_front();
        if (idle == 0 && !any_wide()) return;
        const AllOutside outside{*this};
        for (std::size_t i = 0; i < threads_.size(); ++i) {
            if (i < idle) {
                threads_[i]->all->empty(give);
            } else {
                threads_[i]->all->make_narrow(give);
            }
        }
    }

    /// After a fork, in the child: ends the magazines of all other threads, which do not exist
    /// there and were outside.
    template <class Give>
    void keep_only_own(Give give) noexcept {
        Own* const own = find_own();
        for (std::size_t i = threads_.size(); i-- > 0;) {
            Own* const other = threads_[i];
            if (other == own) continue;
            let_go(*other, give);
            end_thread_record(other);
        }
    }

    /// Empty magazines that count what ended threads did, and threads that have none.
    Magazines& gone() noexcept { return gone_; }

    /// Visits those of `gone`, and every thread's.
    template <class Visit>
    void for_each(Visit visit) const {
        visit(gone_);
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
    /// Threads find their magazines of this pool by it.
    const std::uint64_t number_;
    const GateKey first_key_;
    const std::vector<pools::MagazineBounds> bounds_;
    std::atomic<bool> open_ = true;
    bool was_open_before_fork_ = false;
    bool retired_ = false;
    /// One of each living thread that has used the pool.
    std::vector<Own*> threads_;
    std::unique_ptr<pools::MagazineOf<Block>[]> room_for_gone_;
    Magazines gone_;
};

}  // namespace numpool::threads
