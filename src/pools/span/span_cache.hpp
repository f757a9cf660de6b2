#pragma once

#include <cstddef>
#include <cstdint>

#include "pools/span/free_spans.hpp"
#include "pools/span/resting_spans.hpp"
#include "pools/span/span_purger.hpp"

namespace numpool::pools {

/// The spans of a bank that are not in use: those that rest as they were released, and the free
/// ones. Its pages go when there are too many, or when they were idle for long enough.
class SpanCache {
  public:
    SpanCache(SpanRecords& records, pages::PageSource& source, std::size_t limit,
              std::uint64_t decay_milliseconds) noexcept
        : free_{records},
          purger_{source, free_},
          limit_{limit},
          decay_milliseconds_{decay_milliseconds} {}

    /// Bytes that may have pages.
    std::size_t bytes() const noexcept {
        return resting_.bytes() + (free_.warm() << pages::granule_shift);
    }
    std::size_t limit() const noexcept { return limit_; }

    FreeSpans& free() noexcept { return free_; }
    const FreeSpans& free() const noexcept { return free_; }
    const RestingSpans& resting() const noexcept { return resting_; }
    SpanPurger& purger() noexcept { return purger_; }
    const SpanPurger& purger() const noexcept { return purger_; }

    /// Keeps a span whole for the next request of its size.
    void rest(Span* span) noexcept {
        span->state = Span::State::resting;
        span->stamp = looked_at_;
        resting_.push(span);
        shrink();
    }

    /// Takes out a span that `resting().find` gave.
    void wake(Span* span) noexcept {
        resting_.pop(span);
        // A loop that finds what it needs must not keep what it does not need from decaying.
        if (++woken_ % woken_unseen == 0) [[unlikely]]
            look_for_idle();
    }

    /// Merges what rests into the free spans, and gives back what is idle for long enough now and
    /// then. Returns the time.
    std::uint64_t settle() noexcept;

    /// Gives back so many bytes, and more where that keeps a huge page whole.
    void give_back(std::size_t bytes) noexcept;

    /// Gives back what is above the limit.
    void shrink() noexcept {
        if (bytes() > limit_) [[unlikely]]
            give_back_excess();
    }

    /// Gives back all pages, or about `most` bytes of them, or those that are idle for long enough.
    /// Returns their bytes.
    std::size_t trim(std::size_t most = ~std::size_t{0}) noexcept;
    std::size_t decay() noexcept;

  private:
    /// So many spans are woken before one looks at the clock.
    static constexpr std::uint32_t woken_unseen = 16;

    void look_for_idle() noexcept;
    // Apart, so that a look that finds nothing saves no registers.
    [[gnu::noinline]] void merge_idle(std::uint64_t now) noexcept;
    void give_back_excess() noexcept;
    void purge_idle(std::uint64_t now) noexcept;

    RestingSpans resting_;
    FreeSpans free_;
    SpanPurger purger_;
    std::size_t limit_;
    std::uint64_t decay_milliseconds_;
    std::uint64_t last_decay_ = 0;
    /// When the resting spans were last looked through. Those that have rested since then have
    /// this for a stamp.
    std::uint64_t looked_at_ = 0;
    std::uint32_t woken_ = 0;
};

}  // namespace numpool::pools
