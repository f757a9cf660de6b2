#include "pools/moving/span_pieces.hpp"

#include "pools/span/free_spans_fixture.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;

TEST("pieces are the runs that are no whole unit, and they end at seams") {
    FreeSpansFixture fixture;
    fixture.warm(0, 2 * unit_granules + 7);
    seams::set(fixture.at(2 * unit_granules + 4));
    SpanPieces pieces;
    pieces.gather(fixture.free);
    SpanPiece piece;
    CHECK(pieces.pop(unit_granules, 1, piece));
    CHECK_EQUAL(piece.granules, 4U);
    CHECK(piece.start == fixture.at(2 * unit_granules));
    CHECK(!pieces.pop(4, unit_granules, piece));
    CHECK(pieces.pop(1, unit_granules, piece));
    CHECK_EQUAL(piece.granules, 3U);
    CHECK(!pieces.pop(unit_granules, 1, piece));
}
