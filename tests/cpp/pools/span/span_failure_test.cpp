#include <algorithm>
#include <cstring>
#include <vector>

#include "pages/source/fake_pages.hpp"
#include "pools/moving/span_mover.hpp"
#include "pools/span/span_bank.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

struct Fixture {
    explicit Fixture(const SpanBankOptions& options = {.moving = move_pages},
                     pages::PageSource& under = pages::range_pages())
        : pages{under}, bank{options, owner, pages} {}
    ~Fixture() { pages::page_map.unregister_pool(owner); }

    pages::FakePages pages;
    pages::Tag owner = pages::page_map.register_pool();
    SpanBank bank;
};

void fill(Span* span, int value) {
    std::memset(span->start, value, span->bytes());
}

bool holds(const Span* span, int value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += 2048) {
        if (span->start[i] != std::byte(value)) return false;
    }
    return true;
}

/// Makes requests that need every function of the page source. The bank is checked after each.
void use(Fixture& fixture) {
    SpanBank& bank = fixture.bank;
    std::vector<Span*> spans;
    const auto acquire = [&](std::size_t bytes, bool zeroed) {
        Span* const span = bank.acquire(bytes, zeroed);
        bank.check();
        if (span == nullptr) return;
        if (zeroed) CHECK(holds(span, 0, span->bytes()));
        fill(span, 1);
        spans.push_back(span);
    };
    const auto release_all = [&] {
        for (Span* span : spans) bank.release(span);
        spans.clear();
        bank.check();
    };
    for (const std::size_t size : {3, 5, 1, 7, 4}) acquire(size * mebibyte, false);
    release_all();
    acquire(33 * mebibyte, false);
    acquire(100 * 1024, false);
    release_all();
    acquire(36 * mebibyte, true);
    acquire(3 * mebibyte, true);
    if (!spans.empty()) {
        const std::size_t bytes = spans[0]->bytes();
        Span* const grown = bank.grow(spans[0], bytes + 20 * mebibyte);
        bank.check();
        CHECK(holds(grown != nullptr ? grown : spans[0], 1, bytes));
        if (grown != nullptr) spans[0] = grown;
    }
    release_all();
    bank.trim();
    bank.check();
}

/// Lets each call that `use` makes fail in turn: once, twice, or from then on.
void fail_each_call(const SpanBankOptions& options) {
    Fixture counted{options};
    use(counted);
    const std::size_t calls = counted.pages.calls();
    CHECK(calls > 8U);
    for (std::size_t n = 0; n < calls + 2; ++n) {
        for (const std::size_t times : {std::size_t{1}, std::size_t{2}, pages::FakePages::never}) {
            Fixture fixture{options};
            fixture.pages.fail_after(n, times);
            use(fixture);
            fixture.pages.stop_failing();
            use(fixture);
        }
    }
}

}  // namespace

TEST("each system call may fail in turn, and no record is wrong afterwards") {
    fail_each_call({.moving = move_pages});
}

TEST("each system call may fail in turn in a bank with a small cache, too") {
    fail_each_call({.cached_limit = 4 * mebibyte, .moving = move_pages});
}

TEST("each move may lose its target, and the contents stay where they were") {
    for (std::size_t n = 0; n < 30; ++n) {
        Fixture fixture;
        fixture.pages.lose_moves = true;
        fixture.pages.fail_after(n, 1);
        use(fixture);
        fixture.pages.stop_failing();
        use(fixture);
    }
}

TEST("a bank that ends unmaps everything except the addresses that a move lost") {
    std::size_t most_lost = 0;
    for (std::size_t n = 0; n < 30; ++n) {
        pages::FakePages under{pages::range_pages()};
        {
            Fixture fixture{{.moving = move_pages}, under};
            fixture.pages.lose_moves = true;
            fixture.pages.fail_after(n, 1);
            use(fixture);
        }
        most_lost = std::max(most_lost, under.mapped);
    }
    CHECK(most_lost != 0);
    // At most the largest span and a unit, even if its region is larger.
    CHECK(most_lost <= (56 + 2) * mebibyte);
}

TEST("a refused map empties the cache and is tried again") {
    pages::FakePages under{pages::range_pages()};
    under.limit = 64 * mebibyte;
    const pages::Tag owner = pages::page_map.register_pool();
    SpanBank bank{{}, owner, under};
    Span* const small = bank.acquire(40 * mebibyte);
    fill(small, 1);
    bank.release(small);
    // The cached span is too small, and the limit allows no other region: it goes back first.
    Span* const span = bank.acquire(60 * mebibyte);
    CHECK(span != nullptr);
    CHECK(bank.acquire(60 * mebibyte) == nullptr);
    CHECK(bank.refusal() == Refusal::system);
    bank.check();
    bank.release(span);
    CHECK(bank.acquire(60 * mebibyte) != nullptr);
    pages::page_map.unregister_pool(owner);
}

TEST("a bank works on a kernel that moves no pages") {
    Fixture fixture;
    fixture.pages.moves_refused = true;
    use(fixture);
    CHECK_EQUAL(fixture.pages.moves, 0U);
    CHECK_EQUAL(fixture.bank.figures().moved, 0U);
}
