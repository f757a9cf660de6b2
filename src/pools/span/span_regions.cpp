#include "pools/span/span_regions.hpp"

#include <algorithm>
#include <new>

#include "base/size.hpp"
#include "pools/span/seams.hpp"

namespace numpool::pools {
namespace {

/// A region is as large as all before it together, within these bounds, and a multiple of
/// `region_step`.
constexpr std::size_t least_region = std::size_t{64} << 20;
constexpr std::size_t most_region = std::size_t{4} << 30;
constexpr std::size_t region_step = std::size_t{4} << 20;

}  // namespace

SpanRegions::~SpanRegions() {
    for (const pages::Extent& region : regions_) {
        for (std::byte* start = region.start; start < region.end();) {
            pages::Extent lost{region.end(), 0};
            records_.for_each_used([&](const Span& span) {
                if (span.state == Span::State::lost && span.start >= start &&
                    span.start < lost.start) {
                    lost = {span.start, span.bytes()};
                }
            });
            if (lost.start != start) unmap({start, static_cast<std::size_t>(lost.start - start)});
            start = lost.end();
        }
    }
}

bool SpanRegions::add(std::size_t granules) noexcept {
    const std::size_t needed = round_up(granules << pages::granule_shift, region_step);
    const std::size_t roomy = std::max(needed, std::clamp(mapped_, least_region, most_region));
    try {
        regions_.reserve(regions_.size() + 1);
    } catch (const std::bad_alloc&) {
        return false;
    }
    pages::Extent region = source_.map_uncommitted(roomy, region_step);
    if (!region && roomy != needed) region = source_.map_uncommitted(needed, region_step);
    if (!region) return false;
    regions_.push_back(region);
    mapped_ += region.bytes;
    Span* const span = records_.allocate();
    span->start = region.start;
    span->granules = region.bytes >> pages::granule_shift;
    span->first_of_region = span->last_of_region = true;
    free_.add_region(span);
    return true;
}

bool SpanRegions::commit_cold(const Span& span) noexcept {
    /// The cold granules from here on that lie side by side.
    const auto next_cold = [&](std::byte* from) {
        while (from != span.end() && *pages::page_map.warm(from) != 0) from += pages::granule;
        std::byte* end = from;
        while (end != span.end() && *pages::page_map.warm(end) == 0) end += pages::granule;
        return pages::Extent{from, static_cast<std::size_t>(end - from)};
    };
    for (pages::Extent run = next_cold(span.start); run.bytes != 0; run = next_cold(run.end())) {
        if (source_.commit(run)) continue;
        for (pages::Extent done = next_cold(span.start); done.start != run.start;
             done = next_cold(done.end())) {
            source_.decommit(done);
        }
        return false;
    }
    return true;
}

void SpanRegions::give_unused_back() noexcept {
    std::erase_if(regions_, [this](const pages::Extent& region) {
        Span* const span = free_.starting_at(region.start);
        if (span == nullptr || span->bytes() != region.bytes || span->warm != 0) return false;
        free_.remove(span);
        records_.free(span);
        mapped_ -= region.bytes;
        unmap(region);
        return true;
    });
}

void SpanRegions::unmap(const pages::Extent& region) noexcept {
    seams::forget(region.start, region.bytes >> pages::granule_shift);
    source_.unmap(region);
}

}  // namespace numpool::pools
