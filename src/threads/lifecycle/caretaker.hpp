#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

namespace numpool::threads {

/// What gives unused memory back after a while, if someone looks.
class Decaying {
  public:
    virtual std::size_t decay() noexcept = 0;

  protected:
    ~Decaying() = default;
};

/// A thread that has pools give back what they did not need, in a process too idle to do it in
/// passing. There is none before a pool asks for it, and one for all pools then.
///
/// A forked child has no such thread until one of its own pools asks.
class Caretaker {
  public:
    /// The process's. It lives for ever: pools come and go while the process exits.
    static Caretaker& instance();

    /// Has the pool decay every half `period` until it is removed. Call it when the pool's own
    /// lock is guarded against forks. Throws std::bad_alloc and std::system_error.
    void add(Decaying& pool, std::chrono::milliseconds period);

    /// Afterwards the pool is left alone; nothing happens to one that was not added. The caller
    /// must not hold the pool's lock.
    void remove(Decaying& pool) noexcept;

  private:
    struct Ward {
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
    std::vector<Ward> wards_;
    bool running_ = false;
};

}  // namespace numpool::threads
