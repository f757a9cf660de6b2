// The bank's half that keeps its cache within bounds.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/clock.hpp"
#include "pools/span/seams.hpp"
#include "pools/span/span_bank.hpp"

namespace numpool::pools {

using pages::granule_shift;
using pages::page_map;

/// Merges what rests into the free spans. All of it was released since the last time, so it was
/// used just now, as near as matters. Says what time it is.
std::uint64_t SpanBank::settle() noexcept {
    const std::uint64_t now = coarse_milliseconds();
    if (resting_bytes_ != 0) {
        for (Span*& list : resting_) {
            while (list != nullptr) {
                Span* const span = list;
                list = span->next;
                resting_bytes_ -= span->bytes();
                span->stamp = now;
                free_.add(span);
            }
        }
    }
    if (now - last_decay_ > decay_milliseconds_ / 8) {
        last_decay_ = now;
        decay_until(now);
    }
    return now;
}

/// Merges what has rested since before the last look, and gives back what is idle for long enough.
/// Whatever else rests is left as it is: whoever needs it again finds it whole, and in its place.
void SpanBank::look_for_idle() noexcept {
    const std::uint64_t now = coarse_milliseconds();
    if (now - looked_at_ <= decay_milliseconds_) return;
    for (Span*& list : resting_) {
        for (Span** link = &list; *link != nullptr;) {
            Span* const span = *link;
            if (span->stamp >= looked_at_) {
                link = &span->next;
                continue;
            }
            *link = span->next;
            resting_bytes_ -= span->bytes();
            free_.add(span);
        }
    }
    looked_at_ = last_decay_ = now;
    decay_until(now);
}

/// Gives back the pages of these granules of a free span. Says how many there were: none where the
/// source refuses.
std::size_t SpanBank::purge_run(Span* span, std::byte* start, std::byte* end) noexcept {
    const auto bytes = static_cast<std::size_t>(end - start);
    if (bytes == 0 || !source_.purge({start, bytes})) return 0;
    const std::size_t before = span->warm;
    free_.cool(span, start, bytes >> granule_shift);
    const std::size_t purged = before - span->warm;
    purged_ += purged << granule_shift;
    return purged;
}

/// Gives back up to `granules` pages of a free span, from its end, and more where that keeps a huge
/// page whole. Says how many went: fewer where the source refuses.
std::size_t SpanBank::purge(Span* span, std::size_t granules) noexcept {
    const std::uint8_t* const warm = page_map.warm(span->start);
    // Not a granule at a time, of which a gibibyte has 16384.
    const auto behind_last = [warm](int kind, std::size_t before) -> std::size_t {
        const void* const last = memrchr(warm, kind, before);
        if (last == nullptr) return 0;
        return static_cast<std::size_t>(static_cast<const std::uint8_t*>(last) - warm) + 1;
    };
    std::size_t purged = 0;
    std::size_t run_end = behind_last(1, span->granules);
    while (run_end != 0 && purged < granules) {
        std::byte* start = span->start + (behind_last(0, run_end) << granule_shift);
        std::byte* const end = span->start + (run_end << granule_shift);
        const std::size_t wanted = (granules - purged) << granule_shift;
        if (static_cast<std::size_t>(end - start) > wanted) {
            start = std::max(start, unit_to(end - wanted));
        }
        const std::size_t gone = purge_run(span, start, end);
        if (gone == 0) break;
        purged += gone;
        run_end = behind_last(1, static_cast<std::size_t>(start - span->start) >> granule_shift);
    }
    return purged;
}

/// The same for pages that make up no whole unit.
std::size_t SpanBank::purge_pieces(Span* span, std::size_t granules) noexcept {
    std::size_t purged = 0;
    for (std::byte* start = span->start;
         start < span->end() && purged < granules && span->warm != 0;) {
        std::byte* const end = std::min(unit_to(start) + pages::huge_page, span->end());
        const auto size = static_cast<std::size_t>(end - start) >> granule_shift;
        const bool whole = size == unit_granules && seams::is_whole(start, unit_granules);
        if (!whole && warm_granules(start, size) != 0) purged += purge_run(span, start, end);
        start = end;
    }
    return purged;
}

/// Pieces of units go first: they are of least use, and what comes in their place is whole.
void SpanBank::purge_oldest(std::size_t bytes) noexcept {
    std::size_t wanted = granules_for(bytes);
    for (const bool pieces : {true, false}) {
        for (Span* span = free_.oldest(); span != nullptr && wanted != 0;) {
            Span* const newer = span->newer;
            wanted -= std::min(wanted, pieces ? purge_pieces(span, wanted) : purge(span, wanted));
            span = newer;
        }
    }
}

/// Called after pages were promised that are not there yet. What is live and what is cached stay,
/// together, within the bound, hardly above what was ever live at once: that much the program has
/// shown to need. Where pages lie apart from where requests need them they go and come in turns, so
/// each time that some must go the bank allows itself more slack, half as much as went.
void SpanBank::hold_to_bounds() noexcept {
    const std::size_t committed = live_ + cached();
    if (committed <= bound() || cached() == 0) return;
    const std::size_t excess = committed - bound();
    settle();
    purge_oldest(excess);
    gone_for_bounds_ += excess;
    slack_ = std::min(slack_ + excess / 2, most_slack());
}

/// Slack is memory, and pays where pages would come again and again. Where sizes drift little goes
/// of all that is cut out, and nothing is allowed for it; in a loop of unlike sizes a good part of
/// it does, and soon more than was ever live.
std::size_t SpanBank::most_slack() const noexcept {
    constexpr std::size_t mebibyte = std::size_t{1} << 20;
    if (gone_for_bounds_ < cut_ / 64) return 0;
    const bool loops = gone_for_bounds_ >= cut_ / 32 && gone_for_bounds_ >= peak_;
    return loops ? std::min(peak_ / 2, 12 * mebibyte) : std::min(peak_ / 4, 4 * mebibyte);
}

std::size_t SpanBank::decay_until(std::uint64_t now) noexcept {
    std::size_t purged = 0;
    for (Span* span = free_.oldest(); span != nullptr;) {
        Span* const newer = span->newer;
        if (now - span->stamp >= decay_milliseconds_) purged += purge(span, span->granules);
        span = newer;
    }
    return purged << granule_shift;
}

std::size_t SpanBank::decay() noexcept {
    const std::size_t before = purged_;
    const std::uint64_t now = settle();
    last_decay_ = now;
    decay_until(now);
    return purged_ - before;
}

std::size_t SpanBank::trim() noexcept {
    const std::size_t before = purged_;
    settle();
    for (Span* span = free_.oldest(); span != nullptr;) {
        Span* const newer = span->newer;
        purge(span, span->granules);
        span = newer;
    }
    return purged_ - before;
}

/// With an eighth to spare, so that a program at the limit does not end up here each time.
void SpanBank::shrink_cache() noexcept {
    settle();
    const std::size_t kept = cached_limit_ - cached_limit_ / 8;
    if (cached() > kept) purge_oldest(cached() - kept);
}

void SpanBank::give_regions_back() noexcept {
    std::erase_if(regions_, [this](const pages::Extent& region) {
        Span* const span = free_.starting_at(region.start);
        if (span == nullptr || span->bytes() != region.bytes || span->warm != 0) return false;
        free_.remove(span);
        records_.put(span);
        mapped_ -= region.bytes;
        seams::forget(region.start, region.bytes >> granule_shift);
        source_.unmap(region);
        return true;
    });
}

}  // namespace numpool::pools
