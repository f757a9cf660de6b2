// Live spans that grow and shrink.
#include <cstring>
#include <vector>

#include "pages/system/probes.hpp"
#include "pools/moving/span_mover.hpp"
#include "pools/span/seams.hpp"
#include "pools/span/span_bank_fixture.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;
using pages::granule;

namespace {

std::size_t bytes_of(const Span* span) {
    return span->bytes();
}

}  // namespace

TEST("after a span grew by copying, the cache is within its limit") {
    SpanBankOptions options{.moving = move_pages};
    options.cached_limit = 10 * mebibyte;
    options.moving = nullptr;
    BankFixture fixture{options};
    fixture.bank.release(fixture.bank.acquire(200 * mebibyte));
    fixture.bank.trim();
    Span* const span = fixture.bank.acquire(40 * mebibyte);
    Span* const wall = fixture.bank.acquire(mebibyte);
    std::memset(span->start, 0xa5, span->bytes());
    Span* const grown = fixture.bank.grow(span, 44 * mebibyte);
    CHECK(grown != nullptr && grown->start + grown->bytes() != wall->start);
    CHECK(fixture.bank.figures().cached <= 10 * mebibyte);
    // And the cached granules are not taken for zero.
    CHECK(grown->zero_bytes <= 4 * mebibyte);
    CHECK(grown->start[0] == std::byte{0xa5});
    fixture.bank.check();
}

TEST("a small span that grows cancels the advice for huge pages where it grows") {
    BankFixture fixture;
    Span* const large = fixture.bank.acquire(4 * mebibyte);
    fixture.bank.release(large);
    Span* const span = fixture.bank.acquire(granule);
    Span* const other = fixture.bank.acquire(2 * granule);
    fixture.bank.trim();
    fixture.bank.release(other);
    fixture.bank.has_pages_for(granule);
    CHECK(fixture.bank.grow(span, 2 * granule) == span);
    CHECK(!seams::advised(unit_to(span->start)));
    fixture.bank.check();
}

TEST("a span grows in place if the granules behind it are free") {
    BankFixture fixture;
    Span* const span = fixture.bank.acquire(3 * mebibyte);
    std::memset(span->start, 7, span->bytes());
    Span* const grown = fixture.bank.grow(span, 9 * mebibyte);
    CHECK(grown == span);
    CHECK_EQUAL(bytes_of(grown), 9 * mebibyte);
    CHECK(grown->start[3 * mebibyte - 1] == std::byte{7});
    CHECK(fixture.bank.find(grown->start + 8 * mebibyte) == grown);
    fixture.bank.check();
}

TEST("a span that grows in steps where a larger one was makes no system call") {
    BankFixture fixture;
    std::size_t before = 0;
    for (int round = 0; round < 3; ++round) {
        Span* span = fixture.bank.acquire(512 << 10);
        for (std::size_t bytes = mebibyte; bytes <= 8 * mebibyte; bytes += 512 << 10) {
            Span* const same = fixture.bank.grow(span, bytes);
            CHECK(same == span || round == 0);
            span = same;
            const std::byte* const last = span->start + bytes - 1;
            CHECK(fixture.bank.find(last) == span && fixture.bank.find(last + 1) != span);
            CHECK_EQUAL(fixture.bank.live(), bytes);
            fixture.bank.check();
        }
        fixture.bank.release(span);
        if (round == 0) before = fixture.pages.calls();
    }
    CHECK_EQUAL(fixture.pages.calls(), before);
}

TEST("a span that moves to the place right before it keeps that place") {
    BankFixture fixture;
    SpanBank& bank = fixture.bank;
    // A unit of small spans, two units, and behind them the span that will grow; it cannot grow in
    // place.
    std::vector<Span*> before;
    for (int i = 0; i < 32; ++i) before.push_back(bank.acquire(granule));
    before.push_back(bank.acquire(4 * mebibyte));
    Span* const span = bank.acquire(mebibyte);
    const Span* const behind = bank.acquire(mebibyte);
    CHECK(before.back()->end() == span->start && span->end() == behind->start);
    std::memset(span->start, 7, span->bytes());
    // The lowest span stays. So the free span begins inside a unit, and a large place lies at its
    // end.
    for (std::size_t i = 1; i < before.size(); ++i) bank.release(before[i]);
    Span* const grown = bank.grow(span, 4 * mebibyte);
    CHECK(grown != nullptr && grown->end() == behind->start - mebibyte);
    CHECK(grown->start[mebibyte - 1] == std::byte{7});
    bank.check();
    // No other span gets those addresses.
    for (int i = 0; i < 100; ++i) {
        const Span* const other = bank.acquire(granule);
        CHECK(other->end() <= grown->start || other->start >= grown->end());
    }
    bank.check();
}

TEST("a span that cannot grow in place moves with its pages") {
    BankFixture fixture;
    Span* const span = fixture.bank.acquire(16 * mebibyte + granule);
    Span* const wall = fixture.bank.acquire(mebibyte);
    for (std::size_t i = 0; i < span->bytes(); i += 4096) {
        std::memcpy(span->start + i, &i, sizeof i);
    }
    const std::size_t bytes = span->bytes();
    Span* const grown = fixture.bank.grow(span, 40 * mebibyte);
    CHECK(grown != nullptr);
    CHECK(grown->start != wall->start);
    for (std::size_t i = 0; i < bytes; i += 4096) {
        std::size_t value;
        std::memcpy(&value, grown->start + i, sizeof value);
        CHECK_EQUAL(value, i);
    }
    CHECK_EQUAL(fixture.bank.figures().live, 41 * mebibyte);
    CHECK_EQUAL(fixture.bank.figures().peak, 41 * mebibyte);
    CHECK(fixture.pages.moves > 0U || !has_moving || !pages::pages_move());
    fixture.bank.check();
}

TEST("a span shrinks in place, and its rest is used again") {
    BankFixture fixture;
    Span* const span = fixture.bank.acquire(10 * granule);
    fixture.bank.shrink(span, 3 * granule + 1);
    CHECK_EQUAL(bytes_of(span), 4 * granule);
    CHECK_EQUAL(fixture.bank.figures().cached, 6 * granule);
    Span* const tail = fixture.bank.acquire(6 * granule);
    CHECK(tail->start == span->end());
    fixture.bank.check();
}
