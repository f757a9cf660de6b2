// A bank's memory and page faults, as the kernel counts them.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "pages/source/os_pages.hpp"
#include "pages/system/probes.hpp"
#include "pools/moving/span_mover.hpp"
#include "pools/span/span_pool.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

struct Fixture {
    explicit Fixture(const SpanBankOptions& options = {.moving = move_pages})
        : bank{options, owner} {}
    ~Fixture() { pages::page_map.unregister_pool(owner); }

    pages::Tag owner = pages::page_map.register_pool();
    SpanBank bank;
    SpanPool pool{bank};
};

std::size_t minor_faults() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::size_t>(usage.ru_minflt);
}

/// Not instrumented, because a sanitizer's shadow memory has page faults, too.
__attribute__((no_sanitize("address", "thread"))) void write_all(std::byte* start,
                                                                 std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += 4096) start[i] = std::byte{1};
    start[bytes - 1] = std::byte{1};
}

/// The sum of a field of /proc/self/smaps over the mappings that overlap an extent, in KiB.
std::size_t smaps_kibibytes(const pages::Extent& extent, const std::string& field) {
    std::ifstream smaps{"/proc/self/smaps"};
    std::size_t sum = 0;
    bool inside = false;
    for (std::string line; std::getline(smaps, line);) {
        unsigned long start = 0;
        unsigned long end = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &start, &end) == 2) {
            inside = start < reinterpret_cast<std::uintptr_t>(extent.end()) &&
                     end > reinterpret_cast<std::uintptr_t>(extent.start);
        } else if (inside && line.starts_with(field + ":")) {
            sum += std::stoul(line.substr(field.size() + 1));
        }
    }
    return sum;
}

/// Sanitizers have page faults of their own.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::size_t faults_allowed = 200;
#else
constexpr std::size_t faults_allowed = 0;
#endif

std::size_t faults_of_rounds(std::size_t count, std::size_t bytes) {
    Fixture fixture;
    std::vector<std::byte*> blocks(count);
    std::size_t before = 0;
    for (int round = 0; round < 4; ++round) {
        if (round == 1) before = minor_faults();
        for (std::byte*& block : blocks) {
            block = fixture.pool.acquire(bytes);
            write_all(block, bytes);
        }
        for (std::byte* block : blocks) fixture.pool.release(block);
    }
    return minor_faults() - before;
}

/// The page faults of rounds that write `count` live blocks and free all of them; without the first
/// round.
std::size_t faults_of_bursts(std::size_t count, std::size_t bytes) {
    // Code that runs for the first time may have page faults.
    faults_of_rounds(std::min<std::size_t>(count, 64), bytes);
    return faults_of_rounds(count, bytes);
}

}  // namespace

TEST("bursts of a thousand blocks fault no page after the first round") {
    CHECK(faults_of_bursts(1000, 64 << 10) <= faults_allowed);
    CHECK(faults_of_bursts(1000, 200 << 10) <= faults_allowed);
    CHECK(faults_of_bursts(300, mebibyte) <= faults_allowed);
}

TEST("three blocks of 8 MiB fault no page after the first round") {
    CHECK(faults_of_bursts(3, 8 * mebibyte) <= faults_allowed);
}

TEST("large spans have huge pages") {
    if (!pages::huge_pages_offered()) {
        std::printf("       skipped: transparent huge pages are switched off on this machine\n");
        return;
    }
    if (pages::advice_is_ignored()) return;
    Fixture fixture;
    const Span* const span = fixture.bank.acquire(64 * mebibyte);
    write_all(span->start, span->bytes());
    const pages::Extent extent{span->start, span->bytes()};
    const std::size_t huge = smaps_kibibytes(extent, "AnonHugePages");
    // The machine may have run out of some of them.
    CHECK(huge >= 32U * 1024);
}

TEST("a small program costs no huge page") {
    Fixture fixture;
    std::vector<pages::Extent> extents;
    for (int i = 0; i < 8; ++i) {
        Span* const span = fixture.bank.acquire(100 << 10);
        write_all(span->start, span->bytes());
        extents.push_back({span->start, span->bytes()});
    }
    for (const auto& extent : extents) CHECK_EQUAL(smaps_kibibytes(extent, "AnonHugePages"), 0U);
}

TEST("small spans lie in huge pages, too, from small_huge_from live bytes on") {
    if (!pages::huge_pages_offered()) {
        std::printf("       skipped: transparent huge pages are switched off on this machine\n");
        return;
    }
    if (pages::advice_is_ignored()) return;
    SpanBankOptions options{.moving = move_pages};
    options.small_huge_from = 8 * mebibyte;
    Fixture fixture{options};
    std::size_t huge = 0;
    std::vector<Span*> spans;
    for (int i = 0; i < 256; ++i) {
        spans.push_back(fixture.bank.acquire(pages::granule));
        write_all(spans.back()->start, spans.back()->bytes());
        // Without the first 8 MiB and the rest of the unit that they began without advice.
        if (i == 127) {
            for (const Span* span : spans)
                huge += smaps_kibibytes({span->start, span->bytes()}, "AnonHugePages");
            CHECK_EQUAL(huge, 0U);
        }
    }
    const auto lowest =
        *std::ranges::min_element(spans, {}, [](const Span* span) { return span->start; });
    const pages::Extent place{lowest->start, 16 * mebibyte};
    // The machine may have run out of some of them.
    CHECK(smaps_kibibytes(place, "AnonHugePages") >= 4U * 1024);
    fixture.bank.check();
    for (Span* span : spans) fixture.bank.release(span);
    CHECK(fixture.bank.trim() >= 16 * mebibyte);
    CHECK_EQUAL(smaps_kibibytes(place, "Rss"), 0U);
    fixture.bank.check();
}

TEST("a small span in the place of a large one costs no huge page") {
    Fixture fixture;
    Span* const large = fixture.bank.acquire(8 * mebibyte);
    const pages::Extent place{large->start, large->bytes()};
    write_all(place.start, place.bytes);
    fixture.bank.release(large);
    fixture.bank.trim();
    Span* const small = fixture.bank.acquire(64 << 10);
    CHECK(small->start >= place.start && small->start < place.end());
    small->start[0] = std::byte{1};
    CHECK_EQUAL(smaps_kibibytes({small->start, small->bytes()}, "AnonHugePages"), 0U);
    fixture.bank.check();
}

TEST("a trim purges everything that is not in use") {
    Fixture fixture;
    std::vector<std::byte*> blocks;
    for (int i = 0; i < 40; ++i) {
        blocks.push_back(fixture.pool.acquire(3 * mebibyte));
        write_all(blocks.back(), 3 * mebibyte);
    }
    for (std::byte* block : blocks) fixture.pool.release(block);
    const std::size_t given_back = fixture.bank.trim();
    CHECK(given_back >= 40 * 3 * mebibyte);
    const Span* const span = fixture.bank.acquire(1);
    const pages::Extent region{span->start, 100 * mebibyte};
    CHECK(smaps_kibibytes(region, "Rss") < 1024U);
}

TEST("a loop of unlike sizes has no page faults after a few rounds") {
    Fixture fixture;
    SpanPool& pool = fixture.pool;
    std::byte* const kept = pool.acquire(40 * mebibyte);
    std::byte* batch = nullptr;
    std::byte* hidden = nullptr;
    const auto replace = [&](std::byte*& block, std::size_t bytes) {
        std::byte* const newer = pool.acquire(bytes);
        if (block != nullptr) pool.release(block);
        block = newer;
    };
    std::size_t fresh = 0;
    for (int round = 0; round < 100; ++round) {
        if (round == 20) fresh = fixture.bank.acquired_cold();
        replace(batch, 4 * mebibyte);
        std::byte* const product = pool.acquire(mebibyte);
        replace(hidden, mebibyte);
        pool.release(product);
        pool.release(pool.acquire(mebibyte));
        std::byte* const turned = pool.acquire(4 * mebibyte);
        std::byte* const error = pool.acquire(mebibyte);
        pool.release(pool.acquire(mebibyte / 4));
        pool.release(turned);
        pool.release(error);
    }
    CHECK_EQUAL(fixture.bank.acquired_cold(), fresh);
    // And it does not hold much memory for that.
    const SpanFigures figures = fixture.bank.figures();
    CHECK(figures.committed <= figures.peak + 4 * mebibyte);
    for (std::byte* block : {kept, batch, hidden}) pool.release(block);
}

TEST("a loop with arrays that are a large part of the live bytes has no page faults, too") {
    if (!has_moving || !pages::pages_move()) {
        std::printf("       skipped: no pages move here\n");
        return;
    }
    // A video of 1280 x 720 points: frames, a background, and their difference.
    Fixture fixture;
    SpanPool& pool = fixture.pool;
    constexpr std::size_t points = 1280 * 720;
    std::byte* frame = nullptr;
    std::byte* difference = nullptr;
    std::byte* mask = nullptr;
    std::byte* learnt = pool.acquire(8 * points);
    const auto replace = [&](std::byte*& block, std::byte* newer) {
        if (block != nullptr) pool.release(block);
        block = newer;
    };
    std::size_t fresh = 0;
    for (int round = 0; round < 100; ++round) {
        if (round == 50) fresh = fixture.bank.acquired_cold();
        replace(frame, pool.acquire(points));
        std::byte* const single = pool.acquire(4 * points);
        std::byte* const distance = pool.acquire(8 * points);
        pool.release(single);
        std::byte* const absolute = pool.acquire(8 * points);
        pool.release(distance);
        replace(difference, absolute);
        replace(mask, pool.acquire(points));
        std::byte* const sum = pool.acquire(8 * points);
        pool.release(pool.acquire(8 * points));
        std::byte* const newer = pool.acquire(8 * points);
        pool.release(sum);
        replace(learnt, newer);
    }
    CHECK_EQUAL(fixture.bank.acquired_cold(), fresh);
    const SpanFigures figures = fixture.bank.figures();
    CHECK(figures.committed <= figures.peak + 13 * mebibyte);
    for (std::byte* block : {frame, difference, mask, learnt}) pool.release(block);
}

TEST("untouched zeroes cost no memory, however often") {
    Fixture fixture;
    for (int i = 0; i < 20; ++i) {
        std::byte* const block = fixture.pool.acquire(256 * mebibyte, true);
        const std::size_t before = minor_faults();
        CHECK(block[100 * mebibyte] == std::byte{0});
        block[100 * mebibyte] = std::byte{1};
        CHECK(minor_faults() - before <= 4U);
        fixture.pool.release(block);
        // The block, the room for its offset, and the slack.
        CHECK(fixture.bank.figures().committed <= 260 * mebibyte);
    }
}

TEST("a larger span gets the pages of smaller ones that are free") {
    Fixture fixture;
    std::vector<std::byte*> blocks;
    for (int i = 0; i < 8; ++i) {
        blocks.push_back(fixture.pool.acquire(16 * mebibyte));
        write_all(blocks.back(), 16 * mebibyte);
        // A live span between them, so that they cannot merge.
        fixture.pool.acquire(mebibyte);
    }
    for (std::byte* block : blocks) fixture.pool.release(block);
    const std::size_t before = minor_faults();
    std::byte* const block = fixture.pool.acquire(128 * mebibyte);
    write_all(block, 128 * mebibyte);
    if (fixture.bank.figures().moved == 0) {
        std::printf("       skipped: this kernel does not move pages\n");
        return;
    }
    CHECK(minor_faults() - before < 128 * mebibyte / 4096 / 50);
    CHECK(fixture.bank.figures().acquired_cold <= (8 * 18 + 1) * mebibyte);
    fixture.bank.check();
}

TEST("pages that were idle for the decay time are purged") {
    SpanBankOptions options{.moving = move_pages};
    options.decay_milliseconds = 50;
    Fixture fixture{options};
    std::byte* const block = fixture.pool.acquire(16 * mebibyte);
    write_all(block, 16 * mebibyte);
    fixture.pool.release(block);
    CHECK_EQUAL(fixture.bank.decay(), 0U);
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
    CHECK(fixture.bank.decay() >= 16 * mebibyte);
    CHECK_EQUAL(fixture.bank.figures().cached, 0U);
}

TEST("blocks start at different low addresses, at multiples of 64 bytes") {
    Fixture fixture;
    std::vector<std::uintptr_t> lows;
    for (int i = 0; i < 6; ++i) {
        std::byte* const block = fixture.pool.acquire(mebibyte);
        lows.push_back(reinterpret_cast<std::uintptr_t>(block) % 4096);
        CHECK_EQUAL(lows.back() % 64, 0U);
        for (std::size_t k = 0; k + 1 < lows.size() && k < 2; ++k) {
            const std::uintptr_t previous = lows[lows.size() - 2 - k];
            const std::uintptr_t distance = (lows.back() - previous) % 4096;
            CHECK(distance >= 512 && distance <= 4096 - 512);
            if (lows.size() < 3) break;
        }
        CHECK_EQUAL(fixture.pool.requested(block), mebibyte);
        CHECK_EQUAL(fixture.pool.requested(block + 64), 0U);
    }
}
