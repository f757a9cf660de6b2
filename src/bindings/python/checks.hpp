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

/// What `checks` or, where that was not given, the environment asks for; nothing where it asks for
/// no checks. Throws BadArgument for what is neither.
std::optional<CheckedBlocksOptions> to_checks(const py::object& checks);

/// Whether the environment says anything of checks.
bool environment_names_checks() noexcept;

/// What a checked pool needs of Python: lines, and somebody who raises what it finds. To be called
/// before the first one is made.
void prepare_checks();

/// The pool's layer; null where it is not checked.
inline CheckedBlocks* checks_of(const threads::Pool& pool) noexcept {
    return static_cast<CheckedBlocks*>(pool.layer());
}

/// Has the pool's blocks checked.
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
