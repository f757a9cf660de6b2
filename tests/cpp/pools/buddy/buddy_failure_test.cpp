#include <cstring>
#include <optional>
#include <vector>

#include "base/error.hpp"
#include "pools/buddy/buddy_pool.hpp"
#include "pools/failing_calls.hpp"

using namespace numpool;
using namespace numpool::pools;

namespace {

constexpr std::size_t capacity = std::size_t{1} << 20;
constexpr std::size_t cell = 4096;

/// Acquires, resizes, trims and releases. At the end the whole pool is one free block.
void go_round(BuddyPool& pool) {
    std::vector<std::byte*> blocks;
    for (std::size_t bytes = cell; bytes <= capacity / 4; bytes *= 2) {
        const BuddyPool::Block block = pool.acquire(bytes);
        CHECK(block.start != nullptr);
        for (std::size_t i = 0; block.zero && i < bytes; i += 512)
            CHECK(block.start[i] == std::byte{0});
        std::memset(block.start, static_cast<int>(blocks.size() + 1), bytes);
        blocks.push_back(block.start);
    }
    // A trim with holes between live blocks, and one of a rear that was just split off.
    CHECK(pool.release(blocks[1]));
    blocks.erase(blocks.begin() + 1);
    pool.trim();
    pool.check();
    CHECK(pool.resize(blocks.back(), cell));
    pool.trim();
    pool.check();
    CHECK(blocks[0][0] == std::byte{1} && blocks[1][0] == std::byte{3});
    for (std::byte* const block : blocks) CHECK(pool.release(block));
    pool.trim();
    pool.check();
    CHECK_EQUAL(pool.largest_free(), capacity);
}

}  // namespace

TEST("each system call may fail, and the buddy pool serves the next request") {
    fail_each_call([](pages::FakePages& pages) {
        std::optional<BuddyPool> pool;
        try {
            pool.emplace(capacity, cell, pages);
            go_round(*pool);
        } catch (const Exhausted&) {
            CHECK_EQUAL(pages.mapped, 0U);
        }
        pages.stop_failing();
        if (!pool) pool.emplace(capacity, cell, pages);
        go_round(*pool);
        // This trim purges what an earlier one could not.
        CHECK_EQUAL(pool->committed(), 0U);
    });
}
