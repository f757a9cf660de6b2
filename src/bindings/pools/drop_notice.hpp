#pragma once

#include <atomic>
#include <memory>
#include <string>

namespace numpool::bindings {

/// Issues a ResourceWarning for a pool that is dropped while its blocks are in use.
///
/// The warning comes when Python code runs next, and only if blocks are still in use then. For a
/// function that returns drops its variables one by one, and may drop the pool before its blocks.
class DropNotice {
  public:
    DropNotice() = default;
    DropNotice(const DropNotice&) = delete;
    DropNotice& operator=(const DropNotice&) = delete;
    /// The pool is destroyed: no block is in use any more.
    ~DropNotice();

    /// Warns once for each pool; any thread may call. Without memory there is no warning.
    void warn_later(std::string text) noexcept;

  private:
    std::shared_ptr<std::atomic<bool>> ended_;
};

}  // namespace numpool::bindings
