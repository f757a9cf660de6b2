#include "pools/fixed/ledger.hpp"

#include "testing.hpp"

using numpool::pools::Ledger;

TEST("a ledger records for each block whether it is live") {
    constexpr std::size_t count = 5000;
    const Ledger ledger{count};
    const Ledger::Entries marks = ledger.entries();
    for (std::size_t i = 0; i < count; i += 3) CHECK(marks[i].record_acquire());
    for (std::size_t i = 0; i < count; ++i) CHECK_EQUAL(marks[i].is_live(), i % 3 == 0);
    for (std::size_t i = 0; i < count; i += 3) CHECK(marks[i].record_release());
    for (std::size_t i = 0; i < count; ++i) CHECK(!marks[i].is_live());
}

TEST("a ledger refuses to acquire a live block, and to release one that is not live") {
    const Ledger ledger{1};
    Ledger::Entry& mark = ledger.entries()[0];
    CHECK(!mark.record_release());
    CHECK(mark.record_acquire());
    CHECK(!mark.record_acquire());
    CHECK(mark.record_release());
    CHECK(!mark.record_release());
}
