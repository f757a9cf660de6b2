// A bank on the pages of a file: live spans have blocks on the disk, and nothing else has.
#include <cstring>
#include <vector>

#include "pages/range/file_pages.hpp"
#include "pages/source/disk_folder.hpp"
#include "pages/source/fake_pages.hpp"
#include "pools/span/span_bank.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr std::size_t granule = pages::granule;

struct Fixture {
    Fixture(const SpanBankOptions& options, pages::PageSource& under)
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
    const auto acquire = [&](std::size_t granules, bool zeroed) {
        Span* const span = bank.acquire(granules * granule, zeroed);
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
    for (const std::size_t size : {3, 5, 1, 7, 4}) acquire(size, false);
    release_all();
    acquire(33, false);
    acquire(2, true);
    if (!spans.empty()) {
        const std::size_t bytes = spans[0]->bytes();
        Span* const grown = bank.grow(spans[0], bytes + 20 * granule);
        bank.check();
        CHECK(holds(grown != nullptr ? grown : spans[0], 1, bytes));
        if (grown != nullptr) spans[0] = grown;
    }
    release_all();
    bank.trim();
    bank.check();
}

void fail_each_call(const SpanBankOptions& options, pages::PageSource& file) {
    Fixture counted{options, file};
    use(counted);
    const std::size_t calls = counted.pages.calls();
    CHECK(calls > 8U);
    for (std::size_t n = 0; n < calls + 2; ++n) {
        for (const std::size_t times : {std::size_t{1}, std::size_t{2}, pages::FakePages::never}) {
            Fixture fixture{options, file};
            fixture.pages.fail_after(n, times);
            use(fixture);
            fixture.pages.stop_failing();
            use(fixture);
        }
    }
}

}  // namespace

TEST("each call of a file may fail in turn, and no block on the disk is lost") {
    pages::FilePages file{disk_folder(), true};
    fail_each_call({.cached_limit = 0, .huge_pages = false}, file);
    fail_each_call({.huge_pages = false}, file);
    CHECK_EQUAL(file.bytes_on_disk(), 0U);
}

TEST("in a bank on a file live spans have blocks, and released ones give them back at once") {
    pages::FilePages file{disk_folder(), true};
    Fixture fixture{{.cached_limit = 0, .huge_pages = false}, file};
    Span* const first = fixture.bank.acquire(5 * mebibyte);
    Span* const second = fixture.bank.acquire(3 * mebibyte);
    fill(first, 1);
    fill(second, 2);
    CHECK(file.bytes_on_disk() >= first->bytes() + second->bytes());
    CHECK(file.bytes_on_disk() < 9 * mebibyte);
    fixture.bank.release(first);
    CHECK(file.bytes_on_disk() < 4 * mebibyte);
    CHECK(holds(second, 2, second->bytes()));
    Span* const zeroed = fixture.bank.acquire(5 * mebibyte, true);
    CHECK(holds(zeroed, 0, zeroed->bytes()));
    Span* const grown = fixture.bank.grow(second, 40 * mebibyte);
    CHECK(holds(grown, 2, 3 * mebibyte));
    CHECK(file.bytes_on_disk() >= 45 * mebibyte);
    fixture.bank.shrink(grown, mebibyte);
    CHECK(file.bytes_on_disk() < 8 * mebibyte);
    fixture.bank.check();
}

TEST("a cached span of a file keeps its blocks, and is zeroed without losing them") {
    pages::FilePages file{disk_folder(), true};
    Fixture fixture{{.huge_pages = false}, file};
    constexpr std::size_t bytes = SpanBank::untouched_zeroes_from;
    Span* span = fixture.bank.acquire(bytes);
    fill(span, 1);
    fixture.bank.release(span);
    CHECK(file.bytes_on_disk() >= bytes);
    span = fixture.bank.acquire(bytes, true);
    CHECK(holds(span, 0, span->bytes()));
    CHECK(file.bytes_on_disk() >= bytes);
    fixture.bank.release(span);
    CHECK(fixture.bank.trim() >= bytes);
    CHECK(file.bytes_on_disk() < mebibyte);
    fixture.bank.check();
}

TEST("a file that refuses blocks refuses the span, and the next one that fits is served") {
    pages::FilePages file{disk_folder(), true};
    Fixture fixture{{.cached_limit = 0, .huge_pages = false}, file};
    Span* const kept = fixture.bank.acquire(mebibyte);
    fill(kept, 3);
    fixture.pages.fail_after(0);
    CHECK(fixture.bank.acquire(2 * mebibyte) == nullptr);
    CHECK(fixture.bank.refusal() == Refusal::system);
    CHECK(fixture.bank.grow(kept, 4 * mebibyte) == nullptr);
    fixture.bank.check();
    fixture.pages.stop_failing();
    CHECK(holds(kept, 3, mebibyte));
    Span* const span = fixture.bank.acquire(2 * mebibyte);
    CHECK(span != nullptr);
    fixture.bank.release(span);
    CHECK(file.bytes_on_disk() < 2 * mebibyte);
    fixture.bank.check();
}
