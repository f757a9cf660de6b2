#include "pools/span/span_cache.hpp"

#include "base/clock.hpp"

namespace numpool::pools {

std::uint64_t SpanCache::merge_all() noexcept {
    const std::uint64_t now = coarse_milliseconds();
    // These spans were released since the last merge. Their last use is taken to be now.
    resting_.remove_if([](const Span&) { return true; },
                       [&](Span* span) {
                           span->stamp = now;
                           free_.add(span);
                       });
    return now;
}

std::uint64_t SpanCache::merge_resting() noexcept {
    const std::uint64_t now = merge_all();
    if (now - last_decay_ > decay_milliseconds_ / 8) purge_idle(now);
    return now;
}

void SpanCache::look_for_idle() noexcept {
    const std::uint64_t now = coarse_milliseconds();
    if (now - looked_at_ > decay_milliseconds_) [[unlikely]]
        merge_idle(now);
}

/// Merges the spans that already rested when this last ran, and purges what was idle for the decay
/// time. The other resting spans stay whole for the next request of their size.
void SpanCache::merge_idle(std::uint64_t now) noexcept {
    resting_.remove_if([this](const Span& span) { return span.stamp < looked_at_; },
                       [this](Span* span) { free_.add(span); });
    looked_at_ = now;
    purge_idle(now);
}

void SpanCache::purge_idle(std::uint64_t now) noexcept {
    last_decay_ = now;
    purger_.purge_idle(now, decay_milliseconds_);
}

void SpanCache::give_back(std::size_t bytes) noexcept {
    merge_resting();
    purger_.purge_oldest(bytes);
}

void SpanCache::give_back_excess() noexcept {
    merge_resting();
    // An eighth more than necessary, so that a program at the limit does not purge at each release.
    const std::size_t kept = limit_ - limit_ / 8;
    if (bytes() > kept) purger_.purge_oldest(bytes() - kept);
}

std::size_t SpanCache::decay() noexcept {
    const std::size_t before = purger_.purged();
    purge_idle(merge_resting());
    return purger_.purged() - before;
}

std::size_t SpanCache::trim(std::size_t most) noexcept {
    const std::size_t before = purger_.purged();
    // A decay could purge more than `most`.
    const std::uint64_t now = merge_all();
    if (most < bytes()) {
        purger_.purge_oldest(most);
    } else {
        purger_.purge_idle(now, 0);
    }
    return purger_.purged() - before;
}

}  // namespace numpool::pools
