#include "pools/span/free_spans.hpp"

#include <cstring>

#include "pools/span/free_spans_fixture.hpp"
#include "pools/span/seams.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;
using pages::granule;

TEST("bins are ordered: spans in a later bin are larger") {
    std::size_t last = 0;
    for (std::size_t granules = 1; granules < 100000; ++granules) {
        const std::size_t bin = SpanBins::bin_of(granules);
        CHECK(bin == last || bin == last + 1);
        last = bin;
    }
    CHECK(SpanBins::bin_of((std::size_t{1} << 32) - 1) < SpanBins::count);
}

TEST("a request gets the place with most pages, in the smallest such span") {
    FreeSpansFixture fixture;
    fixture.warm(100, 40);
    const FreeSpans::Fit small = fixture.free.best_fit(5, false);
    CHECK(small.start == fixture.at(100));
    CHECK_EQUAL(small.warm, 5U);
    const FreeSpans::Fit cold = fixture.free.best_fit(40 * unit_granules, true);
    CHECK(cold.start == fixture.at(24 * unit_granules));
    CHECK_EQUAL(cold.warm, 0U);
    CHECK(fixture.free.best_fit(64 * 32 + 1, false).span == nullptr);
}

TEST("a place of a unit or more starts at a unit") {
    FreeSpansFixture fixture;
    fixture.free.carve(fixture.span_at(0), fixture.at(0), 3);
    const FreeSpans::Fit fit = fixture.free.best_fit(unit_granules, false);
    CHECK(fit.start == fixture.at(unit_granules));
}

TEST("a free span is in the list by last use while it has pages") {
    FreeSpansFixture fixture;
    Span* const span = fixture.warm(0, 10);
    CHECK(fixture.free.oldest() == span);
    CHECK(fixture.free.holds(*span));
    fixture.free.cool(span, fixture.at(2), 20);
    CHECK_EQUAL(fixture.free.warm(), 2U);
    fixture.free.cool(span, fixture.at(0), 2);
    CHECK(fixture.free.oldest() == nullptr);
    fixture.free.warm_up(span, 0);
    CHECK(fixture.free.oldest() == nullptr);
}

TEST("a front with pages is carved off, and the rest is found by its new start and size") {
    FreeSpansFixture fixture;
    Span* const span = fixture.warm(0, 100);
    for (std::size_t cut = 0; cut < 100; cut += 10) {
        CHECK(fixture.free.starting_at(fixture.at(cut)) == span);
        CHECK_EQUAL(fixture.free.warm(), 100 - cut);
        fixture.free.carve_front(span, 10);
        CHECK(fixture.free.starting_at(fixture.at(cut)) == nullptr);
        CHECK(fixture.free.holds(*span));
        CHECK_EQUAL(span->warm, 90 - cut);
    }
    CHECK(fixture.free.oldest() == nullptr);
    CHECK_EQUAL(span->granules, fixture.region.bytes / granule - 100);
    CHECK(fixture.free.best_fit(20, false).start == fixture.at(100));
}

TEST("warm granules are counted right, for any number of them") {
    FreeSpansFixture fixture;
    std::uint8_t* const warm = pages::page_map.warm(fixture.region.start);
    for (const std::size_t granules : {1U, 7U, 8U, 9U, 63U, 255U, 2039U, 2040U, 2041U, 2048U}) {
        for (const std::size_t every : {1U, 2U, 3U, 17U}) {
            std::size_t expected = 0;
            for (std::size_t i = 0; i < granules; ++i) {
                warm[i] = i % every == 0 ? 1 : 0;
                expected += warm[i];
            }
            CHECK_EQUAL(warm_granules(fixture.region.start, granules), expected);
            CHECK_EQUAL(warm_granules(fixture.at(granules), 0), 0U);
        }
    }
    std::memset(warm, 0, fixture.region.bytes / granule);
}

TEST("seams are counted, and smoothing removes those inside") {
    FreeSpansFixture fixture;
    const std::size_t before = seams::count();
    seams::set(fixture.at(3));
    seams::set(fixture.at(3));
    seams::set(fixture.at(5));
    CHECK_EQUAL(seams::count(), before + 2);
    CHECK(seams::inside(fixture.at(0), 4));
    CHECK(!seams::inside(fixture.at(3), 2));
    seams::smooth(fixture.at(1), 10);
    CHECK(!seams::inside(fixture.at(1), 10));
    CHECK(seams::at(fixture.at(1)) && seams::at(fixture.at(11)));
    seams::forget(fixture.at(0), 20);
    CHECK_EQUAL(seams::count(), before);
}
