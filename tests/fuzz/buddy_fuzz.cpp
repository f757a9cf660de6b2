// Powers of two that split and merge.
#include <bit>

#include "base/error.hpp"
#include "live_blocks.hpp"
#include "pages/source/fake_pages.hpp"
#include "pools/buddy/buddy_pool.hpp"

using namespace numpool;
using namespace numpool::pools;

void fuzz::use(Input& input) {
    const std::size_t cell = std::size_t{16} << (input.byte() % 9);
    const std::size_t capacity = cell * (1 + input.below(4096));
    pages::FakePages pages;
    BuddyPool pool{capacity, cell, pages};
    LiveBlocks live;
    while (input.more()) {
        const std::uint8_t choice = input.byte();
        if (choice < 110) {
            const std::size_t bytes = input.size(20);
            const BuddyPool::Block block = pool.acquire(bytes);
            if (block.start == nullptr) {
                REQUIRE(pool.largest_free() < std::max(bytes, cell));
                continue;
            }
            if (block.zero) LiveBlocks::require_zero(block.start, bytes);
            REQUIRE(pool.block_size(block.start) >= bytes);
            REQUIRE(pool.requested(block.start) == bytes);
            live.add(block.start, bytes);
        } else if (choice < 200 && !live.empty()) {
            std::byte* const block = live.remove(live.any(input)).start;
            REQUIRE(!pool.release(block + 1));
            REQUIRE(pool.release(block));
            REQUIRE(!pool.release(block));
        } else if (choice < 230 && !live.empty()) {
            const std::size_t index = live.any(input);
            const std::size_t bytes = input.size(20);
            std::byte* const block = live[index].start;
            if (pool.resize(block, bytes)) {
                live.replace(index, block, bytes);
            } else {
                live.verify(index);
            }
        } else if (choice < 240) {
            pages.fail_after(input.below(4), input.byte());
        } else if (choice < 245) {
            pages.stop_failing();
        } else if (choice < 250) {
            pool.trim();
        } else {
            pool.check();
            REQUIRE(pool.blocks() == live.count() && pool.total_requested() == live.bytes());
        }
    }
    pool.check();
    while (!live.empty()) REQUIRE(pool.release(live.remove(0).start));
    pool.check();
    // All buddies have merged: the largest blocks that fit are free.
    REQUIRE(pool.in_use() == 0);
    REQUIRE(pool.largest_free() == std::bit_floor(pool.capacity()));
}
