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

/// The deadline for a `timeout` argument: seconds from now, or None for ever. Empty where it is 0:
/// such a request does not wait.
std::optional<Deadline> to_deadline(PyObject* timeout);

/// What an error says about a request that has waited until its `timeout`.
std::string in_vain(PyObject* timeout);

/// Waits for a block without the GIL; returns an empty one after the deadline. Throws Closed, and
/// error_already_set where a signal handler raised; no block is lost then.
threads::WaitingPool::Block wait_for_block(threads::WaitingPool& pool, const Deadline& deadline);

/// A pool whose blocks Python may wait for.
class WaitedPool {
  public:
    /// A Buffer on an acquired block. Where that fails, the block goes back and the error is
    /// thrown.
    virtual PyObject* hand_out(threads::WaitingPool::Block block) = 0;

    /// Throws the Exhausted of a request for so many blocks, with `advice` on what to do.
    [[noreturn]] virtual void throw_exhausted(std::size_t wanted, const std::string& advice) = 0;

  protected:
    ~WaitedPool() = default;
};

/// Adds `acquire` and its variants to such a pool's class, as functions that Python calls directly.
template <class SomePool>
void add_acquire_methods(py::handle type);

/// Adds `_Request`: an event loop's place in a pool's queue.
void register_request(py::module_& module);

/// Releases a block that no user has seen yet.
void return_unseen(threads::WaitingPool& pool, threads::WaitingPool::Block block) noexcept;

/// A waiter that is notified by a call of a Python function, from any thread: so an event loop can
/// wait. If the function returns False, the waiter is unreachable. If it raises, it is called again
/// later.
class CallbackWaiter final : public threads::Waiter,
                             public std::enable_shared_from_this<CallbackWaiter> {
  public:
    explicit CallbackWaiter(py::object callback) : callback_{std::move(callback)} {}
    ~CallbackWaiter() override;
    bool notify() noexcept override;

    /// For the garbage collector, while no other thread runs Python.
    PyObject* callback() const noexcept { return callback_.ptr(); }
    /// From now on the function is not called. Needs the GIL.
    void forget() noexcept;

  private:
    bool notify_later() noexcept;

    std::mutex mutex_;
    /// Null after `forget`. The mutex guards it, and no Python code runs under the mutex.
    py::object callback_;
};

}  // namespace numpool::bindings
