#include "pools/fixed/fixed_pool.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <set>

#include "base/error.hpp"
#include "base/size.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"

using namespace numpool;
using numpool::pages::FakePages;
using numpool::pages::page_size;
using numpool::pools::FixedPool;
using numpool::pools::FixedPoolOptions;

namespace {

FixedPoolOptions strict(std::size_t block_size, std::size_t blocks) {
    FixedPoolOptions options;
    options.block_size = block_size;
    options.blocks = options.max_blocks = blocks;
    options.ledger = true;
    return options;
}

FixedPoolOptions growing(std::size_t block_size, std::size_t blocks, std::size_t max_blocks) {
    FixedPoolOptions options = strict(block_size, blocks);
    options.max_blocks = max_blocks;
    return options;
}

std::vector<std::byte*> acquire_all(FixedPool& pool) {
    std::vector<std::byte*> blocks;
    while (const auto block = pool.acquire_recorded()) blocks.push_back(block.start);
    return blocks;
}

void release_all(FixedPool& pool, const std::vector<std::byte*>& blocks) {
    for (std::byte* block : blocks) CHECK(pool.release_recorded(block));
}

}  // namespace

TEST("a strict pool hands out exactly its blocks, each aligned and alone") {
    for (std::size_t size : {1, 8, 24, 63, 64, 100, 4096, 5000}) {
        FixedPool pool{strict(size, 100)};
        auto blocks = acquire_all(pool);
        CHECK_EQUAL(blocks.size(), 100U);
        std::sort(blocks.begin(), blocks.end());
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(blocks[i]) % pool.align(), 0U);
            std::memset(blocks[i], 0xFF, size);
            if (i > 0) CHECK(blocks[i] >= blocks[i - 1] + size);
        }
        pool.check();
        CHECK(!pool.acquire_recorded());
        release_all(pool, blocks);
        pool.check();
        CHECK_EQUAL(acquire_all(pool).size(), 100U);
    }
}

TEST("creating a pool of any size touches no page and maps once") {
    FakePages pages;
    const FixedPool pool{strict(4096, 1 << 20), pages};
    CHECK_EQUAL(pages.maps, 1U);
    CHECK_EQUAL(pool.mapped(), std::size_t{4096} << 20);
    CHECK_EQUAL(pool.fresh_blocks(), std::size_t{1} << 20);
}

TEST("the block released last is acquired first") {
    FixedPool pool{strict(64, 8)};
    const auto blocks = acquire_all(pool);
    for (int i : {3, 5, 1}) CHECK(pool.release_recorded(blocks[i]));
    for (int i : {1, 5, 3}) CHECK(pool.acquire_recorded().start == blocks[i]);
}

TEST("a released block is constructed, and a new one is zero") {
    FixedPool pool{strict(64, 2)};
    const auto first = pool.acquire_recorded();
    CHECK(first.zero && !first.constructed);
    CHECK(pool.release_recorded(first.start));
    const auto again = pool.acquire_recorded();
    CHECK(!again.zero && again.constructed);
}

TEST("addresses that are no block, and blocks that are not live, are refused") {
    FixedPool pool{strict(48, 4)};
    const auto block = pool.acquire_recorded();
    std::array<std::byte, 64> outside{};
    CHECK(!pool.release_recorded(nullptr));
    CHECK(!pool.release_recorded(outside.data()));
    CHECK(!pool.release_recorded(block.start + 1));
    CHECK(!pool.release_recorded(block.start + 16));
    CHECK(!pool.release_recorded(block.start - 48));
    CHECK(!pool.release_recorded(block.start + 4 * 48));
    CHECK(!pool.release_recorded(block.start + 48));  // A block, but never acquired.
    CHECK(pool.release_recorded(block.start));
    CHECK(!pool.release_recorded(block.start));  // Twice.
    pool.check();
    CHECK(pool.owns(block.start + 47));
    CHECK(!pool.owns(block.start - 1));
    CHECK(!pool.owns(block.start + 4 * 48));
}

TEST("a pool grows by doubling, up to its bound") {
    FakePages pages;
    FixedPool pool{growing(64, 3, 20), pages};
    std::vector<std::size_t> sizes;
    std::vector<std::byte*> blocks;
    for (;;) {
        const auto block = pool.acquire_recorded();
        if (!block) break;
        blocks.push_back(block.start);
        if (sizes.empty() || sizes.back() != pool.blocks()) sizes.push_back(pool.blocks());
    }
    CHECK(sizes == (std::vector<std::size_t>{3, 6, 12, 20}));
    CHECK_EQUAL(pages.maps, 4U);
    CHECK_EQUAL(std::set<std::byte*>(blocks.begin(), blocks.end()).size(), 20U);
    pool.check();
}

TEST("growth that is refused is tried once more at half the size, then reported") {
    FakePages pages;
    FixedPool pool{growing(64, 8, 64), pages};
    for (int i = 0; i < 8; ++i) CHECK(static_cast<bool>(pool.acquire_recorded()));
    pages.fail_after(0, 1);
    CHECK(static_cast<bool>(pool.acquire_recorded()));
    CHECK_EQUAL(pool.blocks(), 12U);
    for (int i = 0; i < 3; ++i) CHECK(static_cast<bool>(pool.acquire_recorded()));
    pages.fail_after(0);
    CHECK(!pool.acquire_recorded());
    pages.stop_failing();
    CHECK(static_cast<bool>(pool.acquire_recorded()));
    pool.check();
}

TEST("the error for invalid options names them, and nothing is mapped") {
    FakePages pages;
    CHECK_THROWS(BadArgument, "block_size is 0", FixedPool(strict(0, 1), pages));
    CHECK_THROWS(BadArgument, "blocks is 0", FixedPool(strict(1, 0), pages));
    CHECK_THROWS(BadArgument, "max_blocks is 2, less than the 3 blocks",
                 FixedPool(growing(1, 3, 2), pages));
    auto options = strict(64, 1);
    options.align = 48;
    CHECK_THROWS(BadArgument, "align is 48: it must be a power of two", FixedPool(options, pages));
    CHECK_THROWS(BadArgument, "more than an address space",
                 FixedPool(strict(max_size + 1, 1), pages));
    CHECK_THROWS(BadArgument, "more than an address space",
                 FixedPool(strict(max_size / 2, 3), pages));
    CHECK_EQUAL(pages.maps, 0U);
    pages.fail_after(0);
    CHECK_THROWS(Exhausted, "the system refused 128 bytes for 2 blocks",
                 FixedPool(strict(64, 2), pages));
    CHECK_EQUAL(pages.mapped, 0U);
}

TEST("blocks have the alignment of the options") {
    for (std::size_t align : {1, 16, 4096, 1 << 21}) {
        auto options = strict(100, 3);
        options.align = align;
        FixedPool pool{options};
        for (std::byte* block : acquire_all(pool)) {
            CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(block) % align, 0U);
        }
    }
}

TEST("with keep_contents a released block keeps every byte") {
    auto options = strict(24, 4);
    options.keep_contents = true;
    FixedPool pool{options};
    const auto blocks = acquire_all(pool);
    for (std::byte* block : blocks) std::memset(block, 0xAB, 24);
    release_all(pool, blocks);
    for (std::byte* block : acquire_all(pool)) {
        CHECK(std::all_of(block, block + 24, [](std::byte b) { return b == std::byte{0xAB}; }));
    }
}

TEST("without live blocks a trim gives back all pages and all chunks but the first") {
    FakePages pages;
    FixedPool pool{growing(page_size(), 4, 64), pages};
    const auto blocks = acquire_all(pool);
    for (std::byte* block : blocks) *block = std::byte{1};
    CHECK_EQUAL(pool.trim(), 0U);
    release_all(pool, blocks);
    CHECK_EQUAL(pool.trim(), 64 * page_size());
    pool.check();
    CHECK_EQUAL(pool.blocks(), 4U);
    CHECK_EQUAL(pages.mapped, 4 * page_size());
    CHECK_EQUAL(pool.trim(), 0U);
    const auto block = pool.acquire_recorded();
    CHECK(block.zero && *block.start == std::byte{0});
}

TEST("a trim keeps live blocks and purges the pages between them") {
    FakePages pages;
    FixedPool pool{strict(page_size(), 100), pages};
    auto blocks = acquire_all(pool);
    for (std::byte* block : blocks) std::memset(block, 7, page_size());
    for (std::size_t i = 0; i < 100; ++i) {
        if (i % 10 != 0) CHECK(pool.release_recorded(blocks[i]));
    }
    CHECK_EQUAL(pool.trim(), 90 * page_size());
    pool.check();
    for (std::size_t i = 0; i < 100; i += 10) CHECK(blocks[i][page_size() - 1] == std::byte{7});
    CHECK_EQUAL(acquire_all(pool).size(), 90U);
}

TEST("blocks that a trim purged in part are free but not constructed") {
    auto options = strict(page_size() + 64, 8);
    options.keep_contents = true;
    FixedPool pool{options};
    const auto blocks = acquire_all(pool);
    for (std::byte* block : blocks) std::memset(block, 7, pool.block_size());
    for (std::size_t i = 2; i < 6; ++i) CHECK(pool.release_recorded(blocks[i]));
    CHECK(pool.trim() >= 3 * page_size());
    pool.check();
    for (int i = 0; i < 4; ++i) {
        const auto block = pool.acquire_recorded();
        CHECK(!block.constructed);
        if (block.zero) CHECK(block.start[page_size()] == std::byte{0});
    }
    CHECK(!pool.acquire_recorded());
    CHECK(blocks[1][pool.block_size() - 1] == std::byte{7});
    CHECK(blocks[6][0] == std::byte{7});
}

TEST("a refused purge loses no block and no contents") {
    FakePages pages;
    auto options = strict(page_size(), 10);
    options.align = page_size();
    FixedPool pool{options, pages};
    const auto blocks = acquire_all(pool);
    release_all(pool, blocks);
    pages.fail_after(0);
    CHECK_EQUAL(pool.trim(), 0U);
    pool.check();
    for (int i = 0; i < 10; ++i) CHECK(pool.acquire_recorded().constructed);
}

TEST("a block that was released unused is not constructed when it is acquired again") {
    FixedPool pool{strict(64, 1)};
    const auto block = pool.acquire_recorded();
    CHECK(pool.release_unused(block.start));
    CHECK(!pool.release_unused(block.start));
    pool.check();
    const auto again = pool.acquire_recorded();
    CHECK(again.start == block.start);
    CHECK(!again.constructed && !again.zero);
}

TEST("check finds a free list that a user overwrote") {
    auto options = strict(64, 4);
    FixedPool pool{options};
    const auto blocks = acquire_all(pool);
    CHECK(pool.release_recorded(blocks[0]));
    CHECK(pool.release_recorded(blocks[1]));
    std::byte* const saved = blocks[0];
    std::memcpy(blocks[0], &blocks[2], sizeof(std::byte*));  // A live block in the list.
    CHECK_THROWS(Corrupted, "two places", pool.check());
    std::memcpy(blocks[1], &blocks[1], sizeof(std::byte*));  // A cycle.
    CHECK_THROWS(Corrupted, "twice", pool.check());
    std::byte* const nowhere = saved + 1;
    std::memcpy(blocks[1], &nowhere, sizeof(std::byte*));
    CHECK_THROWS(Corrupted, "no block", pool.check());
    std::byte* const nothing = nullptr;
    std::memcpy(blocks[1], &nothing, sizeof(std::byte*));  // A lost block.
    CHECK_THROWS(Corrupted, "neither live nor free", pool.check());
}

TEST("a pool agrees with its model through random operations, trims and refusals") {
    std::mt19937 random{20260101};
    for (int round = 0; round < 60; ++round) {
        FakePages pages;
        const std::size_t size = std::size_t{1} << (random() % 15);
        auto options = growing(size + random() % 100, 1 + random() % 20, 300);
        options.keep_contents = random() % 2 == 0;
        FixedPool pool{options, pages};
        std::map<std::byte*, unsigned char> live;
        for (int step = 0; step < 2000; ++step) {
            const auto action = random() % 100;
            if (action < 52) {
                if (random() % 50 == 0) pages.fail_after(random() % 3, 1);
                const auto block = pool.acquire_recorded();
                if (!block) continue;
                CHECK(!live.contains(block.start));
                if (block.zero) {
                    CHECK(std::all_of(block.start, block.start + pool.block_size(),
                                      [](std::byte b) { return b == std::byte{0}; }));
                }
                const auto fill = static_cast<unsigned char>(1 + random() % 255);
                std::memset(block.start, fill, pool.block_size());
                live[block.start] = fill;
            } else if (action < 98 && !live.empty()) {
                auto victim = live.begin();
                std::advance(victim, random() % live.size());
                const auto fill = std::byte{victim->second};
                CHECK(std::all_of(victim->first, victim->first + pool.block_size(),
                                  [fill](std::byte b) { return b == fill; }));
                const bool released = random() % 20 == 0 ? pool.release_unused(victim->first)
                                                         : pool.release_recorded(victim->first);
                CHECK(released);
                live.erase(victim);
            } else if (action >= 98) {
                pool.trim();
                pool.check();
            }
        }
        pool.check();
        for (const auto& [block, fill] : live) {
            CHECK(std::all_of(block, block + pool.block_size(),
                              [f = std::byte{fill}](std::byte b) { return b == f; }));
        }
    }
}

TEST("huge pages are requested for blocks of their size and more, but not for smaller ones") {
    FakePages pages;
    const FixedPool large{strict(numpool::pages::huge_page, 4), pages};
    CHECK_EQUAL(pages.advices, 1U);
    const FixedPool small{strict(numpool::pages::huge_page - page_size(), 4), pages};
    CHECK_EQUAL(pages.advices, 1U);
    FixedPoolOptions without = strict(numpool::pages::huge_page, 4);
    without.huge_pages = false;
    const FixedPool not_wanted{without, pages};
    // The system may use huge pages without being asked.
    CHECK_EQUAL(pages.advices, 2U);
    pages.fail_after(1);
    // A hint that is refused changes nothing.
    FixedPool refused{strict(numpool::pages::huge_page, 4), pages};
    CHECK_EQUAL(acquire_all(refused).size(), 4U);
}
