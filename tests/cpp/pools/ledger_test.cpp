#include "pools/ledger.hpp"

#include "testing.hpp"

using numpool::pools::Ledger;

TEST("a ledger knows which blocks are live, each by itself") {
    constexpr std::size_t count = 5000;
    Ledger ledger{count};
    for (std::size_t i = 0; i < count; i += 3) CHECK(ledger.enter(i));
    for (std::size_t i = 0; i < count; ++i) CHECK_EQUAL(ledger.is_live(i), i % 3 == 0);
    for (std::size_t i = 0; i < count; i += 3) CHECK(ledger.strike(i));
    for (std::size_t i = 0; i < count; ++i) CHECK(!ledger.is_live(i));
}

TEST("a ledger refuses to enter a live block, and to strike one that is not") {
    Ledger ledger{1};
    CHECK(!ledger.strike(0));
    CHECK(ledger.enter(0));
    CHECK(!ledger.enter(0));
    CHECK(ledger.strike(0));
    CHECK(!ledger.strike(0));
}
