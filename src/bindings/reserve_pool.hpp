#pragma once

#include <string>

#include "bindings/pool.hpp"
#include "bindings/waiting.hpp"
#include "threads/shared_reserve_pool.hpp"

namespace numpool::bindings {

/// A reserve pool whose blocks Python may wait for.
class ReservePool final : public threads::SharedReservePool, public WaitedPool {
  public:
    ReservePool(const threads::SharedReservePoolOptions& options, threads::Pool& backing,
                threads::ByteSource& source)
        : SharedReservePool{options, backing, source} {}

    PyObject* hand_out(Block block) override;

    /// What to do where there is no block at once.
    static constexpr const char* usual_advice = ": release one, or wait with acquire(timeout=...)";

    /// The Exhausted of a request, with `advice` on what to do.
    [[noreturn]] void throw_exhausted(std::size_t wanted, const std::string& advice);

  private:
    ~ReservePool() override = default;
};

}  // namespace numpool::bindings

NUMPOOL_REQUIRE_INITIALISED(numpool::bindings::ReservePool)
