/// `_Request`, on which `acquire_async` in numpool/_waiting.py is built.

#include <memory>
#include <utility>

#include "base/error.hpp"
#include "bindings/pools/waiting.hpp"
#include "bindings/python/classes.hpp"
#include "bindings/python/python_pool.hpp"

namespace numpool::bindings {

using threads::WaitingPool;
using Block = WaitingPool::Block;

/// An event loop's place in the queue.
class Request {
  public:
    Request(WaitingPool& pool, WaitedPool& waited, py::object wake)
        : pool_{&pool},
          waited_{waited},
          waiter_{std::make_shared<CallbackWaiter>(std::move(wake))} {
        granted_ = pool.acquire_or_wait(waiter_);
    }
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    ~Request() { cancel(); }

    /// The function that wakes the loop. The waiter in the pool's queue holds it, too, but the
    /// garbage collector sees this request only. A closed loop whose coroutine waits is a cycle.
    PyObject* wake_reference() const noexcept { return waiter_->callback(); }
    /// The request is unreachable: it leaves the queue, and its waiter wakes no loop.
    void clear() noexcept {
        cancel();
        waiter_->forget();
    }

    /// The Buffer, if a block was granted; None before that. Throws Closed.
    py::object collect() {
        Block block = std::exchange(granted_, Block{});
        if (!block) {
            const auto state = pool_->state_of(*waiter_);
            if (state == threads::Waiter::State::closed) {
                throw Closed{pool_->title() + " was closed while this request waited"};
            }
            if (state == threads::Waiter::State::granted) block = pool_->collect(*waiter_);
        }
        if (!block) return py::none{};
        return py::reinterpret_steal<py::object>(waited_.hand_out(block));
    }

    /// See WaitingPool.
    bool look_elsewhere() noexcept { return pool_->look_elsewhere(); }

    /// Throws the Exhausted of a request that has waited until its `timeout`.
    void refuse(const py::object& timeout) { waited_.throw_exhausted(1, in_vain(timeout.ptr())); }

    /// Leaves the queue. A block that was granted and not collected goes to the next waiter.
    void cancel() noexcept {
        Block block = std::exchange(granted_, Block{});
        if (!block) block = pool_->collect(*waiter_);
        if (block) return_unseen(*pool_, block);
    }

  private:
    threads::PoolHandle<WaitingPool> pool_;
    WaitedPool& waited_;
    std::shared_ptr<CallbackWaiter> waiter_;
    Block granted_;
};

}  // namespace numpool::bindings

NUMPOOL_REQUIRE_INITIALISED(numpool::bindings::Request)

namespace numpool::bindings {

namespace {

void support_garbage_collection(PyHeapTypeObject* type) {
    give_own_layout(type);
    type->ht_type.tp_flags |= Py_TPFLAGS_HAVE_GC;
    type->ht_type.tp_traverse = [](PyObject* self, visitproc visit, void* arg) -> int {
        Py_VISIT(Py_TYPE(self));
        if (const auto* const request = made_in<Request>(self)) Py_VISIT(request->wake_reference());
        return 0;
    };
    type->ht_type.tp_clear = [](PyObject* self) -> int {
        if (auto* const request = made_in<Request>(self)) request->clear();
        return 0;
    };
}

}  // namespace

void register_request(py::module_& module) {
    py::class_<Request>(module, "_Request", py::is_final(),
                        py::custom_type_setup{support_garbage_collection},
                        "A place in a pool's queue, for an event loop.")
        .def(py::init([](const py::object& pool, py::object wake) {
                 auto& some = pool.cast<threads::Pool&>();
                 auto* const waiting = dynamic_cast<WaitingPool*>(&some);
                 auto* const waited = dynamic_cast<WaitedPool*>(&some);
                 if (waiting == nullptr || waited == nullptr)
                     throw py::type_error{some.title() + " is no pool to wait for"};
                 return std::make_unique<Request>(*waiting, *waited, std::move(wake));
             }),
             py::arg("pool"), py::arg("wake"), py::pos_only())
        .def("collect", &Request::collect, "collect(self)\n--\n\n")
        .def("look_elsewhere", &Request::look_elsewhere, "look_elsewhere(self)\n--\n\n")
        .def("refuse", &Request::refuse, py::arg("timeout"), py::pos_only(),
             "refuse(self, timeout, /)\n--\n\n")
        .def("cancel", &Request::cancel, "cancel(self)\n--\n\n");
}

}  // namespace numpool::bindings
