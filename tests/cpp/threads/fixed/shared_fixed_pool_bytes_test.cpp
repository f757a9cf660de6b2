#include <cstring>

#include "base/error.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"
#include "threads/fixed/shared_fixed_pool.hpp"
#include "threads/fixed/strict_pool.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

bool all_nought(const std::byte* bytes, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        if (bytes[i] != std::byte{0}) return false;
    }
    return true;
}

}  // namespace

TEST("a fixed pool serves requests that fit into a block, until all blocks are in use") {
    const auto pool = SharedFixedPool::create(options_for(64, 2));
    std::byte* const full = pool->try_acquire(64);
    std::byte* const empty = pool->try_acquire(0);
    CHECK(full != nullptr && empty != nullptr && full != empty);
    CHECK(pool->try_acquire(1) == nullptr);
    CHECK(pool->try_release(full, 64));
    CHECK(pool->try_acquire(65) == nullptr);
    CHECK(pool->try_acquire(~std::size_t{0}) == nullptr);
    CHECK(pool->figures().failures == 3);
    CHECK(pool->try_release(empty, 0));
    pool->check();
}

TEST("a fixed pool leaves to others what it can't serve, not what its source refused") {
    SharedFixedPoolOptions options = options_for(4096, 1);
    options.max_blocks = 2;
    pages::FakePages pages;
    const auto pool = SharedFixedPool::create(options, pages::SourceHandle{pages});
    CHECK(pool->leaves_to_others(4097) && !pool->leaves_to_others(4096));
    std::byte* const first = pool->try_acquire(4096);
    std::byte* const second = pool->try_acquire(4096);
    CHECK(pool->leaves_to_others(4096));
    CHECK(pool->try_release(first, 0) && pool->try_release(second, 0));
    pool->close();
    CHECK(pool->leaves_to_others(1));
}

TEST("zeroed bytes are zero in fresh blocks and in used ones") {
    const auto pool = SharedFixedPool::create(options_for(4096, 1));
    for (int round = 0; round < 3; ++round) {
        std::byte* const block = pool->try_acquire_zeroed(4096);
        CHECK(all_nought(block, 4096));
        std::memset(block, 0xff, 4096);
        CHECK(pool->try_release(block, 4096));
    }
}

TEST("a block is found by its address, whatever size the release names") {
    const auto pool = SharedFixedPool::create(options_for(64, 2));
    const auto other = SharedFixedPool::create(options_for(64, 2));
    std::byte* const block = pool->try_acquire(48);
    std::byte here{};
    CHECK(!other->try_release(block, 48));
    CHECK(!pool->try_release(&here, 1));
    CHECK(pool->usable_size(block) == 64);
    CHECK(other->usable_size(block) == 0);
    CHECK(pool->try_release(nullptr, 48));
    CHECK(pool->try_release(block, 1000000));
    CHECK(pool->figures().blocks == 0);
}

TEST("reallocate stays in the block, or is refused and changes nothing") {
    const auto pool = SharedFixedPool::create(options_for(64, 1));
    std::byte* const block = pool->try_reallocate(nullptr, 8);
    std::memset(block, 7, 64);
    CHECK(pool->try_reallocate(block, 64) == block);
    CHECK(pool->try_reallocate(block, 1) == block);
    CHECK(pool->try_reallocate(block, 65) == nullptr);
    CHECK(block[63] == std::byte{7});
    std::byte here{};
    CHECK(pool->try_reallocate(&here, 8) == nullptr);
    CHECK(pool->try_release(block, 64));
}

TEST("blocks aligned to less than 16 serve only requests that need no more") {
    SharedFixedPoolOptions options = options_for(24, 4);
    options.align = 8;
    const auto pool = SharedFixedPool::create(options);
    CHECK(pool->try_acquire(16) == nullptr);
    std::byte* const block = pool->try_acquire(15);
    CHECK(block != nullptr);
    CHECK(pool->try_reallocate(block, 24) == nullptr);
    CHECK(pool->try_release(block, 15));
}

TEST("a closed pool serves no bytes and takes its blocks back") {
    const auto pool = SharedFixedPool::create(options_for(64, 2));
    std::byte* const block = pool->try_acquire(8);
    pool->close();
    CHECK(pool->try_acquire(8) == nullptr);
    CHECK(pool->try_release(block, 8));
    CHECK(!pool->try_release(block, 8));
}

TEST("a request is refused where there is no memory for another chunk") {
    pages::FakePages pages;
    SharedFixedPoolOptions options = options_for(4096, 1);
    options.max_blocks = 100;
    const auto pool = SharedFixedPool::create(options, pages);
    std::byte* const block = pool->try_acquire(8);
    pages.fail_after(0);
    CHECK(pool->try_acquire(8) == nullptr);
    CHECK(pool->try_release(block, 8));
}

TEST("a block that was used as bytes is constructed anew where the pool constructs") {
    SharedFixedPoolOptions options = options_for(64, 1);
    options.keep_contents = true;
    const auto pool = SharedFixedPool::create(options);
    SharedFixedPool::Block block = pool->try_acquire();
    pool->release(block.start);
    CHECK(pool->try_acquire().constructed);
    pool->release(block.start);
    CHECK(pool->try_release(pool->try_acquire(64), 64));
    block = pool->try_acquire();
    CHECK(!block.constructed);
    pool->release(block.start);
}

TEST("a wiping pool's blocks are zero after they were used as bytes") {
    SharedFixedPoolOptions options = options_for(64, 1);
    options.wipe = true;
    const auto pool = SharedFixedPool::create(options);
    std::byte* const bytes = pool->try_acquire(64);
    std::memset(bytes, 0xff, 64);
    CHECK(pool->try_release(bytes, 64));
    const SharedFixedPool::Block block = pool->try_acquire();
    CHECK(all_nought(block.start, 64));
    pool->release(block.start);
}
