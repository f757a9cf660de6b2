#pragma once

#include <cstddef>

#include "pages/os_pages.hpp"

namespace numpool::pages {

/// Pages for tests: real ones underneath, every call counted, and any call can be made to fail.
class FakePages final : public PageSource {
  public:
    static constexpr std::size_t never = ~std::size_t{0};

    Extent map(std::size_t bytes, std::size_t align) noexcept override {
        if (fails()) return {};
        const Extent extent = os_pages().map(bytes, align);
        if (extent) {
            ++maps;
            mapped += extent.bytes;
        }
        return extent;
    }

    void unmap(Extent extent) noexcept override {
        ++unmaps;
        mapped -= extent.bytes;
        os_pages().unmap(extent);
    }

    bool purge(Extent extent) noexcept override {
        if (fails()) return false;
        ++purges;
        purged += extent.bytes;
        return os_pages().purge(extent);
    }

    /// Calls that may fail (`map`, `purge`) fail from the `n`-th one from now on, counted from
    /// nought, as often as `times`.
    void fail_after(std::size_t n, std::size_t times = never) noexcept {
        calls_until_failure_ = n;
        failures_left_ = times;
    }
    void stop_failing() noexcept { calls_until_failure_ = never; }

    std::size_t maps = 0;
    std::size_t unmaps = 0;
    std::size_t purges = 0;
    std::size_t mapped = 0;
    std::size_t purged = 0;

  private:
    bool fails() noexcept {
        if (calls_until_failure_ == never) return false;
        if (calls_until_failure_ > 0) {
            --calls_until_failure_;
            return false;
        }
        if (failures_left_ == 0) return false;
        if (failures_left_ != never) --failures_left_;
        return true;
    }

    std::size_t calls_until_failure_ = never;
    std::size_t failures_left_ = 0;
};

}  // namespace numpool::pages
