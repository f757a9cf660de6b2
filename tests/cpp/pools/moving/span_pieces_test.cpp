#include "pools/moving/span_pieces.hpp"

#include "pools/span/free_spans_fixture.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;

TEST("pieces are what makes up no whole unit, and end at seams") {
    FreeSpansFixture fixture;
    fixture.warm(0, 2 * unit_granules + 7);
    seams::set(fixture.at(2 * unit_granules + 4));
    SpanPieces pieces;
    pieces.gather(fixture.free);
    SpanPiece piece;
    CHECK(pieces.take(unit_granules, 1, piece));
    CHECK_EQUAL(piece.granules, 4U);
    CHECK(piece.start == fixture.at(2 * unit_granules));
    CHECK(!pieces.take(4, unit_granules, piece));
    CHECK(pieces.take(1, unit_granules, piece));
    CHECK_EQUAL(piece.granules, 3U);
    CHECK(!pieces.take(unit_granules, 1, piece));
}
