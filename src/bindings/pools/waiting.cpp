#include "bindings/pools/waiting.hpp"

#include <chrono>
#include <cmath>
#include <memory>

#include "base/error.hpp"
#include "bindings/python/errors.hpp"

namespace numpool::bindings {

using threads::Doorbell;
using threads::WaitingPool;
using Block = WaitingPool::Block;

std::optional<Deadline> to_deadline(PyObject* timeout) {
    if (timeout == Py_None) return Deadline{};
    const double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1 && PyErr_Occurred() != nullptr) {
        if (PyErr_ExceptionMatches(PyExc_TypeError) == 0) throw py::error_already_set{};
        PyErr_Clear();
        throw py::type_error{std::string{"timeout must be a number of seconds or None, not "} +
                             Py_TYPE(timeout)->tp_name};
    }
    if (std::isnan(seconds) || seconds < 0) {
        throw BadArgument{"timeout is " + std::string{py::str(py::handle{timeout})} +
                          ": give seconds from 0 on, or None to wait for ever"};
    }
    if (seconds == 0) return std::nullopt;
    constexpr double a_century = 3.2e9;
    if (seconds > a_century) return Deadline{};
    return Doorbell::Clock::now() + std::chrono::duration_cast<Doorbell::Clock::duration>(
                                        std::chrono::duration<double>{seconds});
}

std::string in_vain(PyObject* timeout) {
    const std::string seconds{py::str(py::handle{timeout})};
    return ", and none was released within " + seconds + (seconds == "1" ? " second" : " seconds");
}

void return_unseen(WaitingPool& pool, Block block) noexcept {
    if (block.constructed) {
        pool.release(block.start);
    } else {
        pool.release_unused(block.start);
    }
}

namespace {

/// Without a GIL, another thread that drops the last reference to an object only queues it for the
/// thread that made the object. That thread empties its queue while it runs Python code, and an
/// array of this pool may be in the queue: so a thread that waits runs some. False with a Python
/// error where a signal handler raised meanwhile.
bool run_a_little_python() {
#ifdef Py_GIL_DISABLED
    try {
        // The import runs Python, too, and may be where the handler raises.
        py::module_::import("numpool._waiting").attr("run_nothing")();
    } catch (py::error_already_set& error) {
        error.restore();
        return false;
    }
#endif
    return true;
}

}  // namespace

Block wait_for_block(WaitingPool& pool, const Deadline& deadline) {
    // A signal just before the thread falls asleep does not wake it. So it never sleeps for long.
    constexpr std::chrono::milliseconds longest_sleep{100};
    const auto waiter = std::make_shared<threads::ThreadWaiter>();
    if (const Block block = pool.acquire_or_wait(waiter)) return block;
    for (;;) {
        const auto now = Doorbell::Clock::now();
        const bool last = deadline && *deadline - now <= longest_sleep;
        const auto until = last ? *deadline : now + longest_sleep;
        const Doorbell::Woken woken = without_gil([&] { return waiter->wait(until); });
        if (woken == Doorbell::Woken::by_signal || (woken == Doorbell::Woken::by_time && !last)) {
            pool.look_elsewhere();
            const bool raised = !run_a_little_python() || PyErr_CheckSignals() != 0;
            if (!raised && pool.state_of(*waiter) == threads::Waiter::State::waiting) continue;
            if (raised) {
                py::error_already_set error;
                if (const Block block = pool.collect(*waiter)) return_unseen(pool, block);
                throw error;
            }
        }
        if (const Block block = pool.collect(*waiter)) return block;
        if (pool.state_of(*waiter) == threads::Waiter::State::closed) {
            throw Closed{pool.title() + " was closed while this request waited"};
        }
        if (woken == Doorbell::Woken::by_time && last) return {};
        // A signal handler forked, and this is the child: its queue is empty.
        if (const Block block = pool.acquire_or_wait(waiter)) return block;
    }
}

CallbackWaiter::~CallbackWaiter() {
    drop_with_gil(callback_);
}

void CallbackWaiter::forget() noexcept {
    py::object callback;  // Dropped after the lock, since that may run Python code.
    const std::lock_guard lock{mutex_};
    std::swap(callback, callback_);
}

bool CallbackWaiter::notify() noexcept try {
    const py::gil_scoped_acquire gil;
    // A release may come from a destructor that runs while an exception passes.
    const py::error_scope passing;
    py::object callback;
    {
        const std::lock_guard lock{mutex_};
        callback = callback_;
    }
    if (!callback) return false;
    PyObject* const answer = calling_python([&] { return PyObject_CallNoArgs(callback.ptr()); });
    if (answer != nullptr) {
        const bool reachable = answer != Py_False;
        Py_DECREF(answer);
        return reachable;
    }
    // A deep recursion, missing memory or Ctrl-C: none of these is the waiter's fault. The main
    // thread handles Ctrl-C, and notifies the waiter again, where the stack is shallow.
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0) PyErr_SetInterrupt();
    PyErr_Clear();
    return notify_later();
} catch (...) {
    hang_thread();
}

bool CallbackWaiter::notify_later() noexcept try {
    auto* const again = new std::shared_ptr<CallbackWaiter>{shared_from_this()};
    const auto notify_now = [](void* waiter) {
        const std::unique_ptr<std::shared_ptr<CallbackWaiter>> one{
            static_cast<std::shared_ptr<CallbackWaiter>*>(waiter)};
        (*one)->notify();
        return 0;
    };
    if (Py_AddPendingCall(notify_now, again) == 0) return true;
    delete again;
    return false;
} catch (const std::bad_alloc&) {
    return false;
}

}  // namespace numpool::bindings
