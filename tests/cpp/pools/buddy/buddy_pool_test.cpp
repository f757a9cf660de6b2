#include "pools/buddy/buddy_pool.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "base/error.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"

using namespace numpool;
using pools::BuddyPool;

namespace {

#ifdef NUMPOOL_CHECKS
constexpr int steps = 40000;
#else
constexpr int steps = 1000000;
#endif

std::size_t free_blocks(const BuddyPool& pool) {
    std::size_t all = 0;
    for (unsigned order = 0; order < BuddyPool::orders; ++order) all += pool.free_blocks(order);
    return all;
}

}  // namespace

TEST("a block is split from the smallest free one that is large enough, down to its size") {
    BuddyPool pool{1 << 20, 4096};
    CHECK_EQUAL(free_blocks(pool), 1U);
    std::byte* const block = pool.acquire(5000).start;
    CHECK_EQUAL(pool.block_size(block), 8192U);
    CHECK_EQUAL(pool.requested(block), 5000U);
    // The other halves, 8 KiB, 16 KiB and so on up to 512 KiB, are free.
    CHECK_EQUAL(free_blocks(pool), 7U);
    for (unsigned order = 1; order < 8; ++order) CHECK_EQUAL(pool.free_blocks(order), 1U);
    std::byte* const other = pool.acquire(8192).start;
    CHECK_EQUAL(other, block + 8192);
    CHECK_EQUAL(pool.largest_free(), std::size_t{512} << 10);
    pool.check();
}

TEST("a released block merges with its buddy, and the result with its own buddy, and so on") {
    BuddyPool pool{1 << 20, 64};
    std::vector<std::byte*> blocks;
    while (std::byte* const block = pool.acquire(64).start) blocks.push_back(block);
    CHECK_EQUAL(blocks.size(), 16384U);
    CHECK_EQUAL(pool.free_bytes(), 0U);
    CHECK_EQUAL(pool.largest_free(), 0U);
    std::shuffle(blocks.begin(), blocks.end(), std::mt19937{1});
    for (std::byte* const block : blocks) CHECK(pool.release(block));
    CHECK_EQUAL(free_blocks(pool), 1U);
    CHECK_EQUAL(pool.largest_free(), std::size_t{1} << 20);
    pool.check();
}

TEST("blocks are aligned to their own size") {
    BuddyPool pool{1 << 20, 16};
    std::byte* const base = pool.acquire(1).start;
    for (std::size_t bytes = 16; bytes <= 65536; bytes *= 2) {
        const auto offset = static_cast<std::size_t>(pool.acquire(bytes).start - base);
        CHECK_EQUAL(offset % bytes, 0U);
    }
    CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(base) % 4096, 0U);
}

TEST("a block grows in place while its buddies are free, and shrinks by splitting off its rear") {
    BuddyPool pool{1 << 16, 1024};
    std::byte* const block = pool.acquire(1000).start;
    CHECK(pool.resize(block, 5000));
    CHECK_EQUAL(pool.block_size(block), 8192U);
    CHECK_EQUAL(pool.requested(block), 5000U);
    pool.check();
    CHECK(pool.resize(block, 1 << 16));
    CHECK_EQUAL(pool.free_bytes(), 0U);
    CHECK(pool.resize(block, 1));
    CHECK_EQUAL(pool.block_size(block), 1024U);
    CHECK_EQUAL(free_blocks(pool), 6U);
    pool.check();
    std::byte* const buddy = pool.acquire(1024).start;
    CHECK_EQUAL(buddy, block + 1024);
    CHECK(!pool.resize(block, 2000));
    CHECK(!pool.resize(buddy, 2000));
    CHECK(!pool.resize(block, 1 << 17));
    pool.check();
    CHECK(pool.release(buddy));
    CHECK(pool.resize(block, 2000));
    CHECK(pool.release(block));
    CHECK_EQUAL(free_blocks(pool), 1U);
    pool.check();
}

TEST("a capacity that is no power of two consists of the largest blocks that fit") {
    BuddyPool pool{7 * 4096 + 100, 4096};
    CHECK_EQUAL(pool.capacity(), 7U * 4096);
    CHECK_EQUAL(free_blocks(pool), 3U);
    CHECK(pool.acquire(4 * 4096 + 1).start == nullptr);
    std::vector<std::byte*> blocks;
    while (std::byte* const block = pool.acquire(4096).start) blocks.push_back(block);
    CHECK_EQUAL(blocks.size(), 7U);
    for (std::byte* const block : blocks) CHECK(pool.release(block));
    CHECK_EQUAL(free_blocks(pool), 3U);
    pool.check();
}

TEST("a region may be larger than four gigabytes") {
    const std::size_t capacity = std::size_t{12} << 30;
    BuddyPool pool{capacity, 4096};
    CHECK_EQUAL(pool.capacity(), capacity);
    std::byte* const large = pool.acquire(std::size_t{8} << 30).start;
    std::byte* const other = pool.acquire(std::size_t{4} << 30).start;
    CHECK(other - large == std::ptrdiff_t{8} << 30);
    CHECK_EQUAL(pool.free_bytes(), 0U);
    other[0] = std::byte{1};
    CHECK(pool.release(large));
    CHECK(pool.release(other));
    CHECK_EQUAL(free_blocks(pool), 2U);
    CHECK_EQUAL(pool.largest_free(), std::size_t{8} << 30);
}

TEST("an address where no live block starts is refused") {
    BuddyPool pool{1 << 16, 1024};
    std::byte* const block = pool.acquire(4096).start;
    std::byte stranger{};
    for (std::byte* address :
         {&stranger, block + 1, block + 1024, block + 4096, block + (1 << 16)}) {
        CHECK(!pool.release(address));
        CHECK(!pool.resize(address, 10));
        CHECK_EQUAL(pool.block_size(address), 0U);
    }
    CHECK(pool.release(block));
    CHECK(!pool.release(block));
    pool.check();
}

TEST("unused blocks are known to be zero, and purged blocks again") {
    pages::FakePages pages;
    BuddyPool pool{1 << 20, 4096, pages};
    const BuddyPool::Block fresh = pool.acquire(8192);
    CHECK(fresh.zero);
    std::memset(fresh.start, 0xff, 8192);
    CHECK_EQUAL(pool.committed(), 8192U);
    CHECK(pool.release(fresh.start));
    // A block that merged with a used one counts as used.
    CHECK(!pool.acquire(1 << 20).zero);
    CHECK(pool.resize(fresh.start, 8192));
    CHECK_EQUAL(pool.trim(), (std::size_t{1} << 20) - 8192);
    CHECK(pool.release(fresh.start));
    CHECK_EQUAL(pool.trim(), std::size_t{1} << 20);
    CHECK_EQUAL(pool.committed(), 0U);
    const BuddyPool::Block again = pool.acquire(1 << 20);
    CHECK(again.zero);
    CHECK(std::all_of(again.start, again.start + (1 << 20),
                      [](std::byte b) { return b == std::byte{0}; }));
    pool.check();
}

TEST("if a purge is refused, the pages stay and count as used") {
    pages::FakePages pages;
    BuddyPool pool{1 << 16, 4096, pages};
    pool.release(pool.acquire(1).start);
    pages.fail_after(0);
    CHECK_EQUAL(pool.trim(), 0U);
    CHECK(!pool.acquire(1).zero);
    pool.check();
}

TEST("errors name invalid arguments and refused memory") {
    CHECK_THROWS(BadArgument, "min_block is 100: it must be a power of two", BuddyPool{4096, 100});
    CHECK_THROWS(BadArgument, "min_block is 8: it must be a power of two from 16 on",
                 BuddyPool{4096, 8});
    CHECK_THROWS(BadArgument, "capacity is 10, less than one min_block of 4096",
                 BuddyPool{10, 4096});
    CHECK_THROWS(BadArgument, "with a min_block of 16 bytes it can be at most 16 GiB",
                 BuddyPool{std::size_t{1} << 36, 16});
    pages::FakePages pages;
    pages.fail_after(0);
    CHECK_THROWS(Exhausted, "the system refused 1 MiB for a buddy pool",
                 BuddyPool{1 << 20, 4096, pages});
    CHECK_EQUAL(pages.mapped, 0U);
}

TEST("through random requests blocks keep their bytes, and free buddies are always merged") {
    for (const std::size_t capacity : {std::size_t{1} << 20, std::size_t{777777}}) {
        BuddyPool pool{capacity, 64};
        std::mt19937 random{static_cast<unsigned>(capacity)};
        struct Live {
            std::byte* start;
            std::size_t bytes;
            std::byte pattern;
        };
        std::vector<Live> live;
        const auto verify = [&](const Live& one, std::size_t bytes) {
            for (std::size_t i = 0; i < bytes; i += 37) CHECK(one.start[i] == one.pattern);
        };
        const auto fill = [](const Live& one) {
            std::memset(one.start, static_cast<int>(one.pattern), one.bytes);
        };
        const auto any_size = [&] { return random() % (std::size_t{64} << random() % 11); };
        for (int step = 0; step < steps; ++step) {
            const auto choice = random() % 100;
            if (choice < 50) {
                const std::size_t bytes = any_size();
                const BuddyPool::Block block = pool.acquire(bytes);
                if (block.start == nullptr) continue;
                CHECK(pool.block_size(block.start) >= bytes);
                for (std::size_t i = 0; block.zero && i < bytes; ++i)
                    CHECK(block.start[i] == std::byte{0});
                live.push_back({block.start, bytes, static_cast<std::byte>(random())});
                fill(live.back());
            } else if (choice < 92 && !live.empty()) {
                std::swap(live[random() % live.size()], live.back());
                verify(live.back(), live.back().bytes);
                CHECK(pool.release(live.back().start));
                live.pop_back();
            } else if (choice < 99 && !live.empty()) {
                Live& one = live[random() % live.size()];
                const std::size_t bytes = any_size();
                if (!pool.resize(one.start, bytes)) continue;
                verify(one, std::min(bytes, one.bytes));
                one.bytes = bytes;
                fill(one);
            } else if (random() % 20 == 0) {
                pool.trim();
            }
            if (step % (steps / 100) == 0) {
                pool.check();
                CHECK_EQUAL(pool.blocks(), live.size());
            }
        }
        for (const Live& one : live) {
            verify(one, one.bytes);
            CHECK(pool.release(one.start));
        }
        pool.check();
        CHECK_EQUAL(free_blocks(pool), static_cast<std::size_t>(std::popcount(capacity / 64)));
    }
}
