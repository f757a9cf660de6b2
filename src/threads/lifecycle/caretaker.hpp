#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

namespace numpool::threads {

/// A pool whose `decay` gives back memory that was not needed for a while.
class Decaying {
  public:
    virtual std::size_t decay() noexcept = 0;

  protected:
    ~Decaying() = default;
};

/// The thread that calls `decay` of pools in an idle process, where no request does it in passing.
/// It starts when the first pool asks for it, and serves all pools.
///
/// A forked child has no such thread until one of its own pools asks.
class Caretaker {
  public:
    /// The process's own. It is never destroyed: pools come and go while the process exits.
    static Caretaker& instance();

    /// From now on the pool decays every half `period`, until it is removed. Its own lock must be
    /// guarded against forks already. Throws std::bad_alloc and std::system_error.
    void add(Decaying& pool, std::chrono::milliseconds period);

    /// Afterwards the pool's `decay` is not called any more. A pool that was not added is ignored.
    /// The caller must not hold the pool's lock.
    void remove(Decaying& pool) noexcept;

  private:
    struct Entry {
        Decaying* pool;
        std::chrono::milliseconds interval;
    };

    Caretaker();
    void start_thread();
    void run() noexcept;
    std::chrono::milliseconds shortest_interval() const noexcept;

    /// Held while pools decay, so taken before any pool's lock.
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Entry> entries_;
    bool running_ = false;
};

}  // namespace numpool::threads
