/// What `acquire_async` is made of.

#include <memory>
#include <utility>

#include "base/error.hpp"
#include "bindings/fixed_pool.hpp"
#include "bindings/waiting.hpp"

namespace numpool::bindings {

using Block = FixedPool::Block;

/// An event loop's place in the queue.
class Request {
  public:
    Request(FixedPool& pool, py::object wake)
        : pool_{&pool}, waiter_{std::make_shared<CallbackWaiter>(std::move(wake))} {
        granted_ = pool.acquire_or_wait(waiter_);
    }
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    ~Request() { cancel(); }

    /// The Buffer, if a block was granted; None before that. Throws Closed.
    py::object take() {
        Block block = std::exchange(granted_, Block{});
        if (!block) {
            const auto state = pool_->state_of(*waiter_);
            if (state == threads::Waiter::State::closed) {
                throw Closed{pool_->title() + " was closed while this request waited"};
            }
            if (state == threads::Waiter::State::granted) block = pool_->collect(*waiter_);
        }
        if (!block) return py::none{};
        return py::reinterpret_steal<py::object>(pool_->hand_out(block));
    }

    /// Leaves the queue; a block that was granted and not taken goes to the next.
    void cancel() noexcept {
        Block block = std::exchange(granted_, Block{});
        if (!block) block = pool_->collect(*waiter_);
        if (block) return_unseen(*pool_, block);
    }

  private:
    threads::PoolHandle<FixedPool> pool_;
    std::shared_ptr<CallbackWaiter> waiter_;
    Block granted_;
};

}  // namespace numpool::bindings

NUMPOOL_REQUIRE_INITIALISED(numpool::bindings::Request)

namespace numpool::bindings {

void register_request(py::module_& module) {
    py::class_<Request>(module, "_Request", py::is_final(),
                        "A place in a pool's queue, for an event loop.")
        .def(py::init([](const py::object& pool, py::object wake) {
                 return std::make_unique<Request>(pool.cast<FixedPool&>(), std::move(wake));
             }),
             py::arg("pool"), py::arg("wake"), py::pos_only())
        .def("take", &Request::take)
        .def("cancel", &Request::cancel);
}

}  // namespace numpool::bindings
