#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

namespace numpool::pools {

/// Limits how many bytes a bank may hold, live and cached together.
///
/// The program has shown that it needs the peak of its live bytes, so the limit is little more than
/// that peak. But if free pages lie at the wrong addresses for the next request, the bank would
/// give pages back and fault others in, again and again. So each time that pages must go back, the
/// limit rises by half of their bytes (the slack).
class SpanBounds {
  public:
    explicit SpanBounds(std::size_t limit) noexcept : limit_{limit} {}

    std::size_t limit() const noexcept { return limit_ + kept_; }
    /// How much of the limit only `WithAll` allows.
    std::size_t kept() const noexcept { return kept_; }
    void keep(std::size_t bytes) noexcept {
        limit_ += kept_;
        kept_ = std::min(bytes, limit_ / 2);
        limit_ -= kept_;
    }
    /// While it lives, `allows` also allows what is kept.
    class WithAll {
      public:
        explicit WithAll(SpanBounds& bounds) noexcept
            : bounds_{bounds}, kept_{std::exchange(bounds.kept_, 0)} {
            bounds_.limit_ += kept_;
        }
        WithAll(const WithAll&) = delete;
        WithAll& operator=(const WithAll&) = delete;
        ~WithAll() { bounds_.keep(kept_); }

      private:
        SpanBounds& bounds_;
        const std::size_t kept_;
    };

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
        return std::min(limit(), peak_ + peak_ / 512 + slack_);
    }

    /// Counts a place that was carved for a request.
    void note_carved(std::size_t bytes) noexcept { carved_ += bytes; }

    /// Counts bytes that went back to stay within `most_held`.
    void note_gone(std::size_t bytes) noexcept {
        gone_ += bytes;
        slack_ = std::min(slack_ + bytes / 2, most_slack());
    }

  private:
    /// Slack costs memory, and helps only if pages would come and go again and again. If sizes
    /// drift slowly, few of the carved bytes go back, and no slack is allowed. In a loop of unlike
    /// sizes many of them go back, and soon more than the peak of the live bytes.
    std::size_t most_slack() const noexcept {
        constexpr std::size_t mebibyte = std::size_t{1} << 20;
        if (gone_ < carved_ / 64) return 0;
        const bool loops = gone_ >= carved_ / 32 && gone_ >= peak_;
        return loops ? std::min(peak_ / 2, 12 * mebibyte) : std::min(peak_ / 4, 4 * mebibyte);
    }

    /// Less what is kept.
    std::size_t limit_;
    std::size_t kept_ = 0;
    std::size_t live_ = 0;
    std::size_t peak_ = 0;
    std::size_t gone_ = 0;
    std::size_t carved_ = 0;
    std::size_t slack_ = 0;
};

}  // namespace numpool::pools
