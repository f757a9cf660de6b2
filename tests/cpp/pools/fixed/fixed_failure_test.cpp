#include <cstring>
#include <optional>
#include <vector>

#include "base/error.hpp"
#include "pools/failing_calls.hpp"
#include "pools/fixed/fixed_pool.hpp"

using namespace numpool;
using namespace numpool::pools;

namespace {

constexpr std::size_t block_size = 16384;
constexpr std::size_t most_blocks = 24;

FixedPoolOptions options_of(std::size_t size) {
    FixedPoolOptions options;
    options.block_size = size;
    options.blocks = 3;
    options.max_blocks = most_blocks;
    options.ledger = true;
    return options;
}

/// Acquires all blocks, releases two of three, trims, acquires again and releases all. Returns how
/// many blocks it had at most.
std::size_t go_round(FixedPool& pool) {
    std::vector<std::byte*> blocks;
    const auto acquire_all = [&] {
        while (const FixedPool::Block block = pool.acquire_recorded()) {
            if (block.zero) CHECK(block.start[0] == std::byte{0});
            std::memset(block.start, static_cast<int>(blocks.size() + 1), pool.block_size());
            blocks.push_back(block.start);
        }
        CHECK_EQUAL(pool.check(), blocks.size());
    };
    acquire_all();
    std::vector<std::byte*> kept;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        CHECK(blocks[i][pool.block_size() - 1] == static_cast<std::byte>(i + 1));
        if (i % 3 == 0) {
            kept.push_back(blocks[i]);
        } else {
            CHECK(pool.release_recorded(blocks[i]));
        }
    }
    pool.trim();
    blocks = kept;
    CHECK_EQUAL(pool.check(), blocks.size());
    acquire_all();
    const std::size_t most = blocks.size();
    for (std::byte* const block : blocks) CHECK(pool.release_recorded(block));
    pool.trim();
    CHECK_EQUAL(pool.check(), 0U);
    return most;
}

void use_pool_of(pages::FakePages& pages, std::size_t size) {
    std::optional<FixedPool> pool;
    try {
        pool.emplace(options_of(size), pages);
        CHECK(go_round(*pool) >= 3U);
    } catch (const Exhausted&) {
        CHECK_EQUAL(pages.mapped, 0U);
    }
    pages.stop_failing();
    if (!pool) pool.emplace(options_of(size), pages);
    CHECK_EQUAL(go_round(*pool), most_blocks);
}

}  // namespace

TEST("each system call may fail, and a fixed pool loses no block and serves all of them later") {
    fail_each_call([](pages::FakePages& pages) { use_pool_of(pages, block_size); });
}

TEST("each system call may fail in a fixed pool with blocks in huge pages, too") {
    fail_each_call([](pages::FakePages& pages) { use_pool_of(pages, pages::huge_page); });
}
