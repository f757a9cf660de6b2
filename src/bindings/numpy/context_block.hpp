#pragma once

#include <string>

#include "bindings/python/topics.hpp"

namespace numpool::bindings {

/// What a `_Block` begins and ends with: NumPy's allocator for the block, and what else holds in
/// it.
class BlockContent {
  public:
    BlockContent() = default;
    BlockContent(const BlockContent&) = delete;
    BlockContent& operator=(const BlockContent&) = delete;
    virtual ~BlockContent() = default;

    /// A capsule for NumPy. Empty once the block has ended.
    const py::object& handler() const noexcept { return handler_; }

    /// Called just before NumPy's allocator is set, and just after it was set back.
    virtual void begin() noexcept = 0;
    virtual void end() noexcept = 0;

    /// What the allocator refused since the last call; an empty text if nothing was.
    virtual std::string take_refusal() noexcept { return {}; }

  protected:
    py::object handler_;
};

/// Makes the class `_Block`: a context manager whose subclasses in Python have a method `_make`
/// that returns a BlockContent.
///
/// Like `_Context`, it is not written in Python, so that the exception of a signal handler never
/// finds a block half begun or half ended: between `_make` and the block no Python code runs.
py::object make_block_class();

/// Calls a function of numpool._realtime: for what is rare and easier there.
py::object in_realtime_module(const char* name);

}  // namespace numpool::bindings
