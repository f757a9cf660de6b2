#pragma once

#include <atomic>
#include <memory>
#include <string>

namespace numpool::bindings {

/// Gives a ResourceWarning for a pool that is dropped while its blocks are in use.
///
/// The warning comes when Python code runs next, and only if blocks are still in use then: a
/// function that returns drops its variables one by one, and the pool may go before its blocks.
class DropNotice {
  public:
    DropNotice() = default;
    DropNotice(const DropNotice&) = delete;
    DropNotice& operator=(const DropNotice&) = delete;
    /// The pool ends.
    ~DropNotice();

    /// Once for each pool, from any thread. Without memory for it there is no warning.
    void give_later(std::string text) noexcept;

  private:
    std::shared_ptr<std::atomic<bool>> ended_;
};

}  // namespace numpool::bindings
