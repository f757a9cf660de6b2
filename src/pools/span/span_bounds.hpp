#pragma once

#include <algorithm>
#include <cstddef>

namespace numpool::pools {

/// How many bytes a bank may hold: counts what is live, and learns from what it had to give back.
///
/// What is live and what is cached stay, together, hardly above the most that was ever live at
/// once: that much the program has shown to need. Where pages lie apart from where requests need
/// them they go and come in turns, so each time that some must go the bank allows itself more
/// slack, half as much as went.
class SpanBounds {
  public:
    explicit SpanBounds(std::size_t limit) noexcept : limit_{limit} {}

    std::size_t limit() const noexcept { return limit_; }
    std::size_t live() const noexcept { return live_; }
    std::size_t peak() const noexcept { return peak_; }

    bool allows(std::size_t more) const noexcept { return live_ + more <= limit_; }
    void add_live(std::size_t bytes) noexcept {
        live_ += bytes;
        if (live_ > peak_) peak_ = live_;
    }
    void drop_live(std::size_t bytes) noexcept { live_ -= bytes; }

    /// The most that may be live and cached together.
    std::size_t most_held() const noexcept {
        return std::min(limit_, peak_ + peak_ / 512 + slack_);
    }

    /// Counts a place that was cut out for a request.
    void note_cut(std::size_t bytes) noexcept { cut_ += bytes; }

    /// Counts bytes that were given back to stay within `most_held`.
    void note_gone(std::size_t bytes) noexcept {
        gone_ += bytes;
        slack_ = std::min(slack_ + bytes / 2, most_slack());
    }

  private:
    /// Slack is memory, and pays where pages would come again and again. Where sizes drift, little
    /// goes of all that is cut out, and no slack is allowed. In a loop of unlike sizes a good part
    /// of it goes, and soon more than was ever live.
    std::size_t most_slack() const noexcept {
        constexpr std::size_t mebibyte = std::size_t{1} << 20;
        if (gone_ < cut_ / 64) return 0;
        const bool loops = gone_ >= cut_ / 32 && gone_ >= peak_;
        return loops ? std::min(peak_ / 2, 12 * mebibyte) : std::min(peak_ / 4, 4 * mebibyte);
    }

    std::size_t limit_;
    std::size_t live_ = 0;
    std::size_t peak_ = 0;
    std::size_t gone_ = 0;
    std::size_t cut_ = 0;
    std::size_t slack_ = 0;
};

}  // namespace numpool::pools
