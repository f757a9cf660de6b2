#pragma once

#include <string>

#include "bindings/pools/waiting.hpp"
#include "bindings/python/classes.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/python_pool.hpp"
#include "threads/reserve/shared_reserve_pool.hpp"

namespace numpool::bindings {

/// A reserve pool whose blocks Python may wait for.
class ReservePool final : public threads::SharedReservePool, public WaitedPool {
  public:
    ReservePool(const threads::SharedReservePoolOptions& options, threads::Pool& backing,
                threads::ByteSource& source, py::object backing_object)
        : SharedReservePool{options, backing, source}, backing_object_{std::move(backing_object)} {}

    PyObject* hand_out(Block block) override;
    /// Where the backing pool is checked, its checks have given back already what they kept.
    static Block acquire_kept() noexcept { return {}; }

    /// What to do where there is no block at once.
    static constexpr const char* usual_advice = ": release one, or wait with acquire(timeout=...)";

    /// The Exhausted of a request, with `advice` on what to do.
    [[noreturn]] void throw_exhausted(std::size_t wanted, const std::string& advice) override;

    // For the garbage collector, and for the end of the Python object. The backing pool's `init`
    // may keep blocks of this pool.
    PyObject* backing_reference() const noexcept { return backing_object_.ptr(); }
    void end_python_object() noexcept { drop_in_turn(backing_object_); }

  private:
    ~ReservePool() override { drop_with_gil(backing_object_); }

    /// Only for the garbage collector: the base class holds the backing pool itself.
    py::object backing_object_;
};

}  // namespace numpool::bindings

NUMPOOL_REQUIRE_INITIALISED(numpool::bindings::ReservePool)
