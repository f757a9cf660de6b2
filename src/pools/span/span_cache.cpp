#include "pools/span/span_cache.hpp"

#include "base/clock.hpp"

namespace numpool::pools {

std::uint64_t SpanCache::settle() noexcept {
    const std::uint64_t now = coarse_milliseconds();
    // All that rests was released since the last time: its last use is taken to be now.
    resting_.take_if([](const Span&) { return true; },
                     [&](Span* span) {
                         span->stamp = now;
                         free_.add(span);
                     });
    if (now - last_decay_ > decay_milliseconds_ / 8) purge_idle(now);
    return now;
}

void SpanCache::look_for_idle() noexcept {
    const std::uint64_t now = coarse_milliseconds();
    if (now - looked_at_ > decay_milliseconds_) [[unlikely]]
        merge_idle(now);
}

/// Merges what has rested since before the last look, and gives back what is idle for long enough.
/// The other resting spans stay: a request that needs them again finds them whole, in their place.
void SpanCache::merge_idle(std::uint64_t now) noexcept {
    resting_.take_if([this](const Span& span) { return span.stamp < looked_at_; },
                     [this](Span* span) { free_.add(span); });
    looked_at_ = now;
    purge_idle(now);
}

void SpanCache::purge_idle(std::uint64_t now) noexcept {
    last_decay_ = now;
    purger_.purge_idle(now, decay_milliseconds_);
}

void SpanCache::give_back(std::size_t bytes) noexcept {
    settle();
    purger_.purge_oldest(bytes);
}

void SpanCache::give_back_excess() noexcept {
    settle();
    // With an eighth to spare: a program at the limit does not end up here with each release.
    const std::size_t kept = limit_ - limit_ / 8;
    if (bytes() > kept) purger_.purge_oldest(bytes() - kept);
}

std::size_t SpanCache::decay() noexcept {
    const std::size_t before = purger_.purged();
    purge_idle(settle());
    return purger_.purged() - before;
}

std::size_t SpanCache::trim(std::size_t most) noexcept {
    const std::size_t before = purger_.purged();
    const std::uint64_t now = settle();
    if (most < bytes()) {
        purger_.purge_oldest(most);
    } else {
        purger_.purge_idle(now, 0);
    }
    return purger_.purged() - before;
}

}  // namespace numpool::pools
