#include "pools/fixed/ledger.hpp"

#include "testing.hpp"

using numpool::pools::Ledger;

TEST("a ledger knows which blocks are live, each by itself") {
    constexpr std::size_t count = 5000;
    const Ledger ledger{count};
    const Ledger::Marks marks = ledger.marks();
    for (std::size_t i = 0; i < count; i += 3) CHECK(marks[i].enter());
    for (std::size_t i = 0; i < count; ++i) CHECK_EQUAL(marks[i].is_live(), i % 3 == 0);
    for (std::size_t i = 0; i < count; i += 3) CHECK(marks[i].strike());
    for (std::size_t i = 0; i < count; ++i) CHECK(!marks[i].is_live());
}

TEST("a ledger refuses to enter a live block, and to strike one that is not") {
    const Ledger ledger{1};
    Ledger::Mark& mark = ledger.marks()[0];
    CHECK(!mark.strike());
    CHECK(mark.enter());
    CHECK(!mark.enter());
    CHECK(mark.strike());
    CHECK(!mark.strike());
}
