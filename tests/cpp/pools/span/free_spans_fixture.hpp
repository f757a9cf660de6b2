#pragma once

#include <cstring>

#include "pages/range/range_pages.hpp"
#include "pools/span/free_spans.hpp"
#include "pools/span/seams.hpp"
#include "testing.hpp"

/// Free spans in a region of 64 units, cold at first.
struct FreeSpansFixture {
    FreeSpansFixture() {
        CHECK(records.ensure(64));
        numpool::pools::Span* const span = records.allocate();
        span->start = region.start;
        span->granules = region.bytes / numpool::pages::granule;
        span->first_of_region = span->last_of_region = true;
        free.add_region(span);
    }
    ~FreeSpansFixture() {
        numpool::pools::seams::forget(region.start, region.bytes / numpool::pages::granule);
        numpool::pages::range_pages().unmap(region);
    }

    /// Carves a span at this granule and adds it again, warm.
    numpool::pools::Span* warm(std::size_t first, std::size_t granules) {
        numpool::pools::Span* const span = free.carve(span_at(first), at(first), granules);
        std::memset(numpool::pages::page_map.warm(span->start), 1, granules);
        return free.add(span);
    }
    numpool::pools::Span* span_at(std::size_t first) {
        numpool::pools::Span* found = nullptr;
        free.for_each([&](numpool::pools::Span& span) {
            if (span.start <= at(first) && at(first) < span.end()) found = &span;
        });
        return found;
    }
    std::byte* at(std::size_t granules) const {
        return region.start + granules * numpool::pages::granule;
    }

    numpool::pages::Extent region =
        numpool::pages::range_pages().map(64 * numpool::pages::huge_page, std::size_t{4} << 20);
    numpool::pools::SpanRecords records;
    numpool::pools::FreeSpans free{records};
};
