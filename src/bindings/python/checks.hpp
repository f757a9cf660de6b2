#pragma once

#include <memory>
#include <optional>
#include <string>

#include "bindings/python/parameters.hpp"
#include "bindings/python/topics.hpp"
#include "threads/checked/checked_blocks.hpp"

namespace numpool::bindings {

using threads::CheckedBlocks;
using threads::CheckedBlocksOptions;

/// The options that the argument `checks` stands for, or NUMPOOL_CHECKS if the argument is None.
/// Nothing if checks are off. Throws BadArgument for another value.
std::optional<CheckedBlocksOptions> to_checks(const py::object& checks);

/// Whether NUMPOOL_CHECKS is set.
bool environment_names_checks() noexcept;

/// Lets checked pools name lines of Python, and raise their reports. Must be called before the
/// first checked pool is made.
void prepare_checks();

/// The pool's layer; null if the pool is not checked.
inline CheckedBlocks* checks_of(const threads::Pool& pool) noexcept {
    return static_cast<CheckedBlocks*>(pool.layer());
}

/// Makes this a checked pool, before it hands out a block.
template <class SomePool>
void check_blocks(SomePool& pool, const CheckedBlocksOptions& options) {
    prepare_checks();
    pool.set_layer(std::make_unique<CheckedBlocks>(pool, pool, options));
}

/// The pool's figures as its users see them.
threads::PoolFigures figures_of(const threads::Pool& pool);

/// `Pool.live`.
py::list live_blocks(const threads::Pool& pool);

}  // namespace numpool::bindings
