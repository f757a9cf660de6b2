#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "bindings/python/topics.hpp"
#include "threads/waiting/waiting_pool.hpp"

namespace numpool::bindings {

/// How long a request may wait: a deadline, or none for one that may wait for ever.
using Deadline = std::optional<threads::Doorbell::Clock::time_point>;

/// From a `timeout` argument: seconds from now, None for ever. Nothing where it is 0: don't wait.
std::optional<Deadline> to_deadline(PyObject* timeout);

/// What an error says of a request that has waited until its `timeout`.
std::string in_vain(PyObject* timeout);

/// Waits for a block without the GIL; an empty one where the time ran out. Throws Closed, and
/// error_already_set where a signal handler raised; no block is lost then.
threads::WaitingPool::Block wait_for_block(threads::WaitingPool& pool, const Deadline& deadline);

/// A pool whose blocks Python may wait for.
class WaitedPool {
  public:
    /// A Buffer on an acquired block. Where that fails the block goes back, and the error passes.
    virtual PyObject* hand_out(threads::WaitingPool::Block block) = 0;

    /// Throws the Exhausted of a request for so many blocks, with `advice` on what to do.
    [[noreturn]] virtual void throw_exhausted(std::size_t wanted, const std::string& advice) = 0;

  protected:
    ~WaitedPool() = default;
};

/// `acquire` and the like for such a pool's class, which Python calls directly.
template <class SomePool>
void add_acquire_methods(py::handle type);

/// A place in the queue for a caller that waits in an event loop.
void register_request(py::module_& module);

/// Gives back a block that nobody has seen yet.
void return_unseen(threads::WaitingPool& pool, threads::WaitingPool::Block block) noexcept;

/// Someone who waits by having a Python function called, from any thread: an event loop's way to
/// be woken. Where the function returns False, nobody is there any more; where it raises, it is
/// called again later.
class CallbackWaiter final : public threads::Waiter,
                             public std::enable_shared_from_this<CallbackWaiter> {
  public:
    explicit CallbackWaiter(py::object callback) : callback_{std::move(callback)} {}
    ~CallbackWaiter() override;
    bool notify() noexcept override;

    /// For the garbage collector, while no other thread runs Python.
    PyObject* callback() const noexcept { return callback_.ptr(); }
    /// Calls nobody from now on. With the GIL.
    void forget() noexcept;

  private:
    bool notify_later() noexcept;

    std::mutex mutex_;
    /// Null once it was forgotten. The mutex guards it; no Python code runs under that.
    py::object callback_;
};

}  // namespace numpool::bindings
