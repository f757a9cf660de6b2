#pragma once

#include <cstddef>
#include <cstdint>

#include "pools/span/free_spans.hpp"
#include "pools/span/resting_spans.hpp"
#include "pools/span/span_purger.hpp"

namespace numpool::pools {

/// The spans of a bank that are not in use: the resting ones and the free ones. Their pages go back
/// to the source if there are too many, or if they were idle for the decay time.
class SpanCache {
  public:
    SpanCache(SpanRecords& records, pages::PageSource& source, std::size_t limit,
              std::uint64_t decay_milliseconds) noexcept
        : free_{records},
          purger_{source, free_},
          limit_{limit},
          decay_milliseconds_{decay_milliseconds} {}

    /// The bytes that may have pages.
    std::size_t bytes() const noexcept {
        return resting_.bytes() + (free_.warm() << pages::granule_shift);
    }

    FreeSpans& free() noexcept { return free_; }
    const FreeSpans& free() const noexcept { return free_; }
    const RestingSpans& resting() const noexcept { return resting_; }
    SpanPurger& purger() noexcept { return purger_; }
    const SpanPurger& purger() const noexcept { return purger_; }

    /// Makes a released span rest.
    void rest(Span* span) noexcept {
        span->state = Span::State::resting;
        span->stamp = looked_at_;
        resting_.push(span);
        keep_within_limit();
    }

    /// Removes a span that `resting().find` returned.
    void wake(Span* span) noexcept {
        resting_.pop(span);
        // A loop that only wakes resting spans never merges. It must let other spans decay, too.
        if (++woken_ % woken_unseen == 0) [[unlikely]]
            look_for_idle();
    }

    /// Merges all resting spans into the free ones. From time to time it also purges what was idle
    /// for the decay time. Returns the time now.
    std::uint64_t merge_resting() noexcept;

    /// Purges `bytes`, or more if that keeps a unit whole.
    void give_back(std::size_t bytes) noexcept;

    /// Purges what exceeds the limit.
    void keep_within_limit() noexcept {
        if (bytes() > limit_) [[unlikely]]
            give_back_excess();
    }

    /// `trim` purges all pages, or about `most` bytes of them; `decay` those that were idle for the
    /// decay time. Both return how many bytes.
    std::size_t trim(std::size_t most = ~std::size_t{0}) noexcept;
    std::size_t decay() noexcept;

  private:
    /// After this many wakes, one looks at the clock.
    static constexpr std::uint32_t woken_unseen = 16;

    /// `merge_resting` without the purge.
    std::uint64_t merge_all() noexcept;
    void look_for_idle() noexcept;
    // Not inlined, so that the common case of `look_for_idle` saves no registers.
    [[gnu::noinline]] void merge_idle(std::uint64_t now) noexcept;
    void give_back_excess() noexcept;
    void purge_idle(std::uint64_t now) noexcept;

    RestingSpans resting_;
    FreeSpans free_;
    SpanPurger purger_;
    std::size_t limit_;
    std::uint64_t decay_milliseconds_;
    std::uint64_t last_decay_ = 0;
    /// When `merge_idle` last ran. A span that is released after that has this stamp while it
    /// rests, so the next run leaves it alone, and the one after that merges it.
    std::uint64_t looked_at_ = 0;
    std::uint32_t woken_ = 0;
};

}  // namespace numpool::pools
