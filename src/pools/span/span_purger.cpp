#include "pools/span/span_purger.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "pools/span/seams.hpp"

namespace numpool::pools {

using pages::granule_shift;
using pages::page_map;

/// Purges these granules of a free span. Returns how many were warm; none if the source refuses.
std::size_t SpanPurger::purge_run(Span* span, std::byte* start, std::byte* end) noexcept {
    const auto bytes = static_cast<std::size_t>(end - start);
    if (bytes == 0 || !source_.decommit({start, bytes})) return 0;
    const std::size_t before = span->warm;
    free_.cool(span, start, bytes >> granule_shift);
    const std::size_t purged = before - span->warm;
    purged_ += purged << granule_shift;
    return purged;
}

std::size_t SpanPurger::purge(Span* span, std::size_t granules) noexcept {
    const std::uint8_t* const warm = page_map.warm(span->start);
    // memrchr is fast, and a gibibyte has 16384 granules.
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

/// Like `purge`, but leaves whole units alone.
std::size_t SpanPurger::purge_pieces(Span* span, std::size_t granules) noexcept {
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

void SpanPurger::purge_oldest(std::size_t bytes) noexcept {
    std::size_t wanted = granules_for(bytes);
    // Pieces of units go first. They are least useful, and new pages come in whole units.
    for (const bool pieces : {true, false}) {
        for (Span* span = free_.oldest(); span != nullptr && wanted != 0;) {
            Span* const newer = span->newer;
            wanted -= std::min(wanted, pieces ? purge_pieces(span, wanted) : purge(span, wanted));
            span = newer;
        }
    }
}

void SpanPurger::purge_idle(std::uint64_t now, std::uint64_t idle_for) noexcept {
    for (Span* span = free_.oldest(); span != nullptr;) {
        Span* const newer = span->newer;
        if (now - span->stamp >= idle_for) purge(span, span->granules);
        span = newer;
    }
}

bool SpanPurger::purge_part(std::byte* start, std::size_t granules) noexcept {
    const std::size_t bytes = granules << granule_shift;
    if (!source_.purge({start, bytes})) return false;
    purged_ += bytes;
    return true;
}

}  // namespace numpool::pools
