#include "pools/span/span_bank.hpp"

#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "base/size.hpp"
#include "pools/moving/span_mover.hpp"
#include "pools/span/span_bank_fixture.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;
using pages::granule;
using pages::page_map;

namespace {

std::size_t bytes_of(const Span* span) {
    return span->bytes();
}

}  // namespace

TEST("a new bank has mapped nothing") {
    BankFixture fixture;
    CHECK_EQUAL(fixture.pages.maps, 0U);
    CHECK_EQUAL(fixture.bank.figures().mapped, 0U);
    fixture.bank.check();
}

TEST("spans are whole granules, aligned, and from 2 MiB on at huge pages") {
    BankFixture fixture;
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, granule, granule + 1, mebibyte,
                                    2 * mebibyte, 5 * mebibyte + 1, 100 * mebibyte}) {
        Span* const span = fixture.bank.acquire(bytes);
        CHECK(span != nullptr);
        CHECK_EQUAL(bytes_of(span), round_up(bytes == 0 ? 1 : bytes, granule));
        const auto start = reinterpret_cast<std::uintptr_t>(span->start);
        CHECK_EQUAL(start % (bytes >= 2 * mebibyte ? 2 * mebibyte : granule), 0U);
        std::memset(span->start, 1, span->bytes());
        fixture.bank.check();
    }
}

TEST("every address of a live span has its tag, and none of a free span has") {
    BankFixture fixture;
    Span* const span = fixture.bank.acquire(3 * granule);
    std::byte* const start = span->start;
    for (const std::size_t offset : {std::size_t{0}, granule, 3 * granule - 1}) {
        CHECK_EQUAL(pages::pool_of(page_map.tag(start + offset)), fixture.owner);
        CHECK(pages::kind_of(page_map.tag(start + offset)) == span_kind);
        CHECK(fixture.bank.find(start + offset) == span);
    }
    CHECK(fixture.bank.find(start + 3 * granule) == nullptr);
    fixture.bank.release(span);
    CHECK(fixture.bank.find(start) == nullptr);
    fixture.bank.trim();
    CHECK_EQUAL(page_map.tag(start), 0U);
    int local = 0;
    CHECK(fixture.bank.find(&local) == nullptr);
}

TEST("the span released last is acquired again, unchanged") {
    BankFixture fixture;
    Span* const span = fixture.bank.acquire(mebibyte);
    span->start[17] = std::byte{42};
    fixture.bank.release(span);
    Span* const again = fixture.bank.acquire(mebibyte);
    CHECK(again == span);
    CHECK(again->start[17] == std::byte{42});
    CHECK_EQUAL(again->zero_bytes, 0U);
}

TEST("free neighbours are merged") {
    BankFixture fixture;
    std::vector<Span*> spans;
    for (int i = 0; i < 8; ++i) spans.push_back(fixture.bank.acquire(granule));
    std::byte* const first = spans.front()->start;
    for (const int i : {1, 3, 5, 7, 0, 2, 4, 6}) fixture.bank.release(spans[i]);
    Span* const all = fixture.bank.acquire(8 * granule);
    CHECK(all->start == first);
    CHECK_EQUAL(fixture.bank.figures().cached, 0U);
    fixture.bank.check();
}

TEST("a place is carved from the cached span that fits best, and the rest stays cached") {
    BankFixture fixture;
    Span* const small = fixture.bank.acquire(3 * granule);
    Span* const wall = fixture.bank.acquire(granule);
    Span* const large = fixture.bank.acquire(9 * granule);
    Span* const end = fixture.bank.acquire(granule);
    std::byte* const place = small->start;
    fixture.bank.release(large);
    fixture.bank.release(small);
    Span* const span = fixture.bank.acquire(2 * granule);
    CHECK(span->start == place);
    CHECK_EQUAL(fixture.bank.figures().cached, 10 * granule);
    fixture.bank.release(wall);
    fixture.bank.release(end);
    fixture.bank.check();
}

TEST("a zeroed span is zero whether it is new, cached or merged") {
    for (const std::size_t bytes : {granule, 3 * mebibyte, 40 * mebibyte}) {
        BankFixture fixture;
        for (int round = 0; round < 3; ++round) {
            Span* const span = fixture.bank.acquire(bytes, true);
            for (std::size_t i = 0; i < span->bytes(); i += 512)
                CHECK(span->start[i] == std::byte{0});
            std::memset(span->start, 0xa5, span->bytes());
            fixture.bank.check();
            fixture.bank.release(span);
            if (round == 1) {
                // The next one is carved from a larger one.
                Span* const larger = fixture.bank.acquire(bytes + mebibyte);
                std::memset(larger->start, 0xa5, larger->bytes());
                fixture.bank.release(larger);
            }
        }
    }
}

TEST("a large zeroed span on cached pages purges them, as they may never be touched") {
    // Any place in the 64 MiB of addresses has some of the pages.
    BankFixture fixture;
    Span* const cached = fixture.bank.acquire(20 * mebibyte);
    std::memset(cached->start, 0xa5, cached->bytes());
    fixture.bank.release(cached);
    Span* const zeroes = fixture.bank.acquire(60 * mebibyte, true);
    CHECK(fixture.bank.figures().purged >= 16 * mebibyte);
    CHECK(zeroes->start[0] == std::byte{0});
    CHECK(zeroes->end()[-1] == std::byte{0});
    fixture.bank.release(zeroes);
    fixture.bank.check();
}

TEST("a large zeroed request purges a resting span of its size, if pages must go anyway") {
    BankFixture fixture;
    Span* const other = fixture.bank.acquire(36 * mebibyte);
    Span* span = fixture.bank.acquire(40 * mebibyte);
    std::byte* const place = span->start;
    for (int round = 0; round < 3; ++round) {
        std::memset(span->start, 0xa5, span->bytes());
        fixture.bank.release(span);
        const std::size_t purges = fixture.pages.purges;
        span = fixture.bank.acquire(40 * mebibyte, true);
        CHECK(span->start == place);
        CHECK_EQUAL(fixture.pages.purges, purges + 1);
        CHECK_EQUAL(span->zero_bytes, span->bytes());
        for (std::size_t i = 0; i < span->bytes(); i += 512) CHECK(span->start[i] == std::byte{0});
        CHECK_EQUAL(fixture.bank.figures().purged, (round + 1) * 40 * mebibyte);
        fixture.bank.check();
    }
    fixture.bank.release(other);
    fixture.bank.release(span);
    fixture.bank.check();
}

TEST("a large zeroed request leaves resting spans alone, if there is room for more pages") {
    BankFixture fixture;
    Span* const other = fixture.bank.acquire(80 * mebibyte);
    Span* const span = fixture.bank.acquire(40 * mebibyte);
    std::memset(span->start, 0xa5, span->bytes());
    fixture.bank.release(other);
    fixture.bank.trim();
    std::byte* const place = span->start;
    fixture.bank.release(span);
    Span* const zeroes = fixture.bank.acquire(40 * mebibyte, true);
    CHECK(zeroes->start != place);
    CHECK_EQUAL(fixture.bank.figures().cached, 40 * mebibyte);
    CHECK(zeroes->start[0] == std::byte{0});
    fixture.bank.release(zeroes);
    fixture.bank.check();
}

TEST("a loop that only wakes resting spans lets the others decay") {
    for (const bool zeroed : {false, true}) {
        SpanBankOptions options{.moving = move_pages};
        options.decay_milliseconds = 20;
        BankFixture fixture{options};
        Span* const unneeded = fixture.bank.acquire(60 * mebibyte);
        Span* const needed = fixture.bank.acquire(40 * mebibyte);
        fixture.bank.release(unneeded);
        fixture.bank.release(needed);
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
        while (fixture.bank.figures().cached > 45 * mebibyte) {
            CHECK(std::chrono::steady_clock::now() < end);
            fixture.bank.release(fixture.bank.acquire(40 * mebibyte, zeroed));
        }
        fixture.bank.check();
    }
}

TEST("a limit refuses before anything has changed") {
    SpanBankOptions options{.moving = move_pages};
    options.limit = 4 * mebibyte;
    BankFixture fixture{options};
    Span* const span = fixture.bank.acquire(3 * mebibyte);
    CHECK(fixture.bank.acquire(2 * mebibyte) == nullptr);
    CHECK(fixture.bank.refusal() == Refusal::limit);
    CHECK(fixture.bank.grow(span, 5 * mebibyte) == nullptr);
    CHECK(fixture.bank.refusal() == Refusal::limit);
    CHECK(fixture.bank.acquire(mebibyte) != nullptr);
    CHECK_EQUAL(fixture.bank.figures().live, 4 * mebibyte);
    fixture.bank.check();
}

TEST("sizes above an address space are too large, even where rounding would overflow") {
    BankFixture fixture;
    for (const std::size_t bytes : {max_size + 1, std::numeric_limits<std::size_t>::max(),
                                    std::numeric_limits<std::size_t>::max() - granule}) {
        CHECK(fixture.bank.acquire(bytes) == nullptr);
        CHECK(fixture.bank.refusal() == Refusal::too_large);
    }
    CHECK(fixture.bank.acquire(max_size) == nullptr);
    CHECK(fixture.bank.refusal() == Refusal::system);
    fixture.bank.check();
}

TEST("cached pages stay within their limit, and a trim purges all of them") {
    SpanBankOptions options{.moving = move_pages};
    options.cached_limit = 8 * mebibyte;
    BankFixture fixture{options};
    std::vector<Span*> spans;
    for (int i = 0; i < 16; ++i) {
        spans.push_back(fixture.bank.acquire(mebibyte));
        std::memset(spans.back()->start, 1, mebibyte);
    }
    for (Span* span : spans) {
        fixture.bank.release(span);
        CHECK(fixture.bank.figures().cached <= options.cached_limit);
    }
    const std::size_t cached = fixture.bank.figures().cached;
    CHECK(cached > 0U);
    CHECK_EQUAL(fixture.bank.trim(), cached);
    CHECK_EQUAL(fixture.bank.figures().committed, 0U);
    CHECK_EQUAL(fixture.bank.figures().purged, 16 * mebibyte);
    fixture.bank.check();
}

TEST("a span with a slab's tag has a span's tag again after its release") {
    BankFixture fixture;
    Span* const span = fixture.bank.acquire(granule);
    int note = 0;
    fixture.bank.tag_as_slab(span, pages::Kind{5}, &note);
    CHECK_EQUAL(page_map.tag(span->start), fixture.owner + 5);
    CHECK(page_map.note(span->start + 100) == &note);
    CHECK(fixture.bank.find(span->start) == nullptr);
    fixture.bank.check();
    fixture.bank.release(span);
    CHECK(fixture.bank.acquire(granule) == span);
    CHECK(fixture.bank.find(span->start) == span);
}

TEST("two banks share the range and know their own spans only") {
    BankFixture one;
    BankFixture other;
    Span* const span = one.bank.acquire(mebibyte);
    CHECK(other.bank.find(span->start) == nullptr);
    CHECK_EQUAL(pages::pool_of(page_map.tag(span->start)), one.owner);
}
