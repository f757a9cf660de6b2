#include "bindings/waiting.hpp"

#include <chrono>
#include <cmath>
#include <memory>

#include "base/error.hpp"
#include "bindings/errors.hpp"

namespace numpool::bindings {

using threads::Doorbell;
using threads::SharedFixedPool;
using Block = SharedFixedPool::Block;

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

void return_unseen(SharedFixedPool& pool, Block block) noexcept {
    if (block.constructed) {
        pool.release(block.start);
    } else {
        pool.release_unused(block.start);
    }
}

Block wait_for_block(SharedFixedPool& pool, const Deadline& deadline) {
    const auto waiter = std::make_shared<threads::ThreadWaiter>();
    if (const Block block = pool.acquire_or_wait(waiter)) return block;
    for (;;) {
        const Doorbell::Woken woken = without_gil([&] { return waiter->wait(deadline); });
        const bool interrupted = woken == Doorbell::Woken::by_signal;
        if (interrupted && PyErr_CheckSignals() == 0) continue;
        const Block block = pool.collect(*waiter);
        if (interrupted) {
            if (block) return_unseen(pool, block);
            throw py::error_already_set{};
        }
        if (!block && pool.state_of(*waiter) == threads::Waiter::State::closed) {
            throw Closed{pool.title() + " was closed while this request waited"};
        }
        return block;
    }
}

CallbackWaiter::~CallbackWaiter() {
    drop_with_gil(callback_);
}

bool CallbackWaiter::notify() noexcept try {
    const py::gil_scoped_acquire gil;
    // A release may come from a destructor that runs while an exception passes.
    const py::error_scope passing;
    PyObject* const result = PyObject_CallNoArgs(callback_.ptr());
    if (result == nullptr) {
        PyErr_Clear();
        return false;
    }
    Py_DECREF(result);
    return true;
} catch (abi::__forced_unwind&) {
    hang_thread();
}

}  // namespace numpool::bindings
