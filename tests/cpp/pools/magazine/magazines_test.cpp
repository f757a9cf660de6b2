#include "pools/magazine/magazines.hpp"

#include <sys/mman.h>

#include <array>
#include <cstdio>
#include <vector>

#include "pages/source/os_pages.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;

TEST("unused magazines take no memory") {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    std::printf("       skipped: sanitizers touch what they allocate\n");
#else
    constexpr std::size_t count = 64;
    const std::vector<MagazineBounds> bounds(count, {16, 4, std::size_t{1} << 20});
    const std::unique_ptr<Magazine[]> room{new Magazine[count]};
    Magazines magazines{bounds, room.get()};
    alignas(64) std::byte some{};
    CHECK(magazines[count / 2].push({&some, false}));
    std::size_t resident = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const auto address = reinterpret_cast<std::uintptr_t>(magazines[i].begin());
        void* const page = reinterpret_cast<void*>(round_down(address, pages::page_size()));
        unsigned char answer = 0;
        CHECK_EQUAL(mincore(page, 1, &answer), 0);
        resident += answer & 1U;
    }
    // The first page also has the C library's header of the memory.
    CHECK(resident <= 2);
    FreeBlock block{nullptr, false};
    CHECK(!magazines[0].pop(block));
    CHECK(magazines[count / 2].pop(block));
    CHECK_EQUAL(block.start(), &some);
#endif
}

namespace {

/// One magazine of few places, and blocks for it.
struct Few {
    explicit Few(std::size_t capacity) : bounds{{16, capacity, capacity}} {}

    FreeBlock block(std::size_t number) { return {some.data() + 16 * number, false}; }
    std::size_t number_of(FreeBlock of) const {
        return static_cast<std::size_t>(of.start() - some.data()) / 16;
    }
    auto release() {
        return [this](std::size_t, const FreeBlock* blocks, std::size_t count) {
            receive(blocks, count);
        };
    }
    void receive(const FreeBlock* blocks, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) given.push_back(number_of(blocks[i]));
    }

    std::vector<MagazineBounds> bounds;
    std::unique_ptr<Magazine[]> room{new Magazine[1]};
    Magazines all{bounds, room.get()};
    Magazine& magazine = all[0];
    std::array<std::byte, 64 * 16> some{};
    std::vector<std::size_t> given;
};

/// Its address stands for the magazines' pool.
const int pool = 0;
constexpr GateKey key = 7;

}  // namespace

TEST("other threads remove blocks at the bottom and leave the top to the owner") {
    Few few{8};
    few.magazine.gate().open(&pool, key);
    for (std::size_t i = 0; i < 4; ++i) CHECK(few.magazine.push_by(key, few.block(i), 16));
    few.magazine.gate().shut();
    CHECK(!few.magazine.push_by(key, few.block(9), 16));
    CHECK(!few.magazine.pop_by(&pool, 16));
    few.all.empty(few.release());
    CHECK((few.given == std::vector<std::size_t>{0, 1, 2, 3}));
    CHECK_EQUAL(few.magazine.count(), 0U);
    few.magazine.gate().open(&pool, key);
    CHECK(!few.magazine.pop_by(&pool, 16));
    // The next blocks lie above places without blocks.
    for (std::size_t i = 4; i < 8; ++i) CHECK(few.magazine.push_by(key, few.block(i), 16));
    CHECK_EQUAL(few.magazine.count(), 4U);
    CHECK(!few.magazine.push_by(key, few.block(8), 16));
    few.given.clear();
    few.all.make_room(
        0, [&](const FreeBlock* blocks, std::size_t count) { few.receive(blocks, count); });
    CHECK(few.given.empty());
    for (std::size_t i = 8; i < 12; ++i) CHECK(few.magazine.push_by(key, few.block(i), 16));
    CHECK(!few.magazine.push_by(key, few.block(12), 16));
    for (std::size_t i = 12; i-- > 4;) {
        CHECK_EQUAL(few.number_of(few.magazine.pop_by(&pool, 16)), i);
    }
    CHECK(!few.magazine.pop_by(&pool, 16));
    CHECK_EQUAL(few.magazine.requests(), 8);
}

TEST("a magazine narrowed below its top accepts no block before it is closed up") {
    Few few{16};
    few.magazine.gate().open(&pool, key);
    for (std::size_t i = 0; i < 12; ++i) CHECK(few.magazine.push_by(key, few.block(i), 16));
    few.magazine.narrow(
        4, [&](const FreeBlock* blocks, std::size_t count) { few.receive(blocks, count); });
    CHECK_EQUAL(few.given.size(), 8U);
    CHECK_EQUAL(few.magazine.count(), 4U);
    CHECK(!few.magazine.push_by(key, few.block(12), 16));
    CHECK_EQUAL(few.number_of(few.magazine.pop_by(&pool, 16)), 11U);
    CHECK(!few.magazine.push_by(key, few.block(11), 16));
    CHECK(few.magazine.close_up());
    CHECK(few.magazine.push_by(key, few.block(11), 16));
    CHECK(!few.magazine.push_by(key, few.block(12), 16));
    for (std::size_t i = 12; i-- > 8;) {
        CHECK_EQUAL(few.number_of(few.magazine.pop_by(&pool, 16)), i);
    }
    CHECK(!few.magazine.pop_by(&pool, 16));
}

TEST("a magazine without places accepts nothing, whatever the key") {
    Magazine nowhere;
    std::byte some{};
    CHECK(!nowhere.push_by(0, {&some, false}, 1));
    CHECK(!nowhere.push_by(key, {&some, false}, 1));
    CHECK(!nowhere.pop_by(&pool, 1));
}
