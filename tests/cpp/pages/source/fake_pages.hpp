#pragma once

#include <algorithm>
#include <cstddef>

#include "pages/source/os_pages.hpp"

namespace numpool::pages {

/// Pages for tests: a real source below, every call counted, and any call can be made to fail.
class FakePages final : public PageSource {
  public:
    static constexpr std::size_t never = ~std::size_t{0};

    explicit FakePages(PageSource& under = os_pages()) noexcept : under_{under} {}

    Extent map(std::size_t bytes, std::size_t align) noexcept override {
        if (fails() || is_beyond_limit(bytes)) return {};
        const Extent extent = under_.map(bytes, align);
        if (extent) {
            ++maps;
            mapped += extent.bytes;
        }
        return extent;
    }

    Extent map_uncommitted(std::size_t bytes, std::size_t align) noexcept override {
        if (fails() || is_beyond_limit(bytes)) return {};
        const Extent extent = under_.map_uncommitted(bytes, align);
        if (extent) {
            ++maps;
            mapped += extent.bytes;
        }
        return extent;
    }

    bool needs_commit() const noexcept override { return under_.needs_commit(); }

    bool commit(Extent extent) noexcept override {
        if (fails()) return false;
        ++commits;
        return under_.commit(extent);
    }

    bool decommit(Extent extent) noexcept override {
        if (fails()) return false;
        ++purges;
        purged += extent.bytes;
        largest_purge = std::max(largest_purge, extent.bytes);
        return under_.decommit(extent);
    }

    void unmap(Extent extent) noexcept override {
        ++unmaps;
        mapped -= extent.bytes;
        under_.unmap(extent);
    }

    bool purge(Extent extent) noexcept override {
        if (fails()) return false;
        ++purges;
        purged += extent.bytes;
        largest_purge = std::max(largest_purge, extent.bytes);
        return under_.purge(extent);
    }

    Extent grow(Extent extent, std::size_t bytes) noexcept override {
        if (fails() || is_beyond_limit(bytes - extent.bytes)) return {};
        const Extent grown = under_.grow(extent, bytes);
        if (grown) {
            ++grows;
            mapped += grown.bytes - extent.bytes;
        }
        return grown;
    }

    Moved move(Extent from, std::byte* to) noexcept override {
        if (moves_refused) return Moved::refused;
        if (fails()) return lose_moves ? Moved::lost : Moved::refused;
        const Moved result = under_.move(from, to);
        if (result == Moved::done) {
            ++moves;
            moved += from.bytes;
        }
        return result;
    }

    bool renew(Extent extent) noexcept override {
        if (fails()) return false;
        ++renewals;
        return under_.renew(extent);
    }

    bool advise_huge(Extent extent, bool huge) noexcept override {
        if (fails()) return false;
        ++advices;
        return under_.advise_huge(extent, huge);
    }

    std::size_t granularity() const noexcept override { return under_.granularity(); }

    /// Calls that did not fail, of those that may (all but `unmap`).
    std::size_t calls() const noexcept {
        return maps + commits + purges + grows + moves + renewals + advices;
    }

    /// The next `n` calls that may fail succeed; the `times` calls after them fail.
    void fail_after(std::size_t n, std::size_t times = never) noexcept {
        calls_until_failure_ = n;
        failures_left_ = times;
    }
    void stop_failing() noexcept { calls_until_failure_ = never; }

    std::size_t maps = 0;
    std::size_t unmaps = 0;
    std::size_t commits = 0;
    std::size_t purges = 0;
    std::size_t grows = 0;
    std::size_t moves = 0;
    std::size_t renewals = 0;
    std::size_t advices = 0;
    /// Bytes.
    std::size_t mapped = 0;
    std::size_t purged = 0;
    std::size_t largest_purge = 0;
    std::size_t moved = 0;
    /// `map` and `grow` refuse to exceed this many mapped bytes.
    std::size_t limit = never;
    /// Behaves like a kernel that moves no pages.
    bool moves_refused = false;
    /// A move that fails loses its target.
    bool lose_moves = false;

  private:
    bool is_beyond_limit(std::size_t more) const noexcept {
        return more > limit || mapped > limit - more;
    }
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

    PageSource& under_;
    std::size_t calls_until_failure_ = never;
    std::size_t failures_left_ = 0;
};

}  // namespace numpool::pages
