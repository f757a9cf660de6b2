// Equal blocks.
#include "live_blocks.hpp"
#include "pages/source/fake_pages.hpp"
#include "pools/fixed/fixed_pool.hpp"

using namespace numpool;
using namespace numpool::pools;

namespace {

FixedPoolOptions options_from(fuzz::Input& input) {
    FixedPoolOptions options;
    options.block_size = input.size(15) + 1;
    options.blocks = input.byte() % 64 + 1;
    options.max_blocks = options.blocks + input.byte();
    options.ledger = true;
    options.keep_contents = input.flag();
    if (input.flag()) options.align = std::size_t{1} << (input.byte() % 13);
    return options;
}

}  // namespace

void fuzz::use(Input& input) {
    const FixedPoolOptions options = options_from(input);
    pages::FakePages pages;
    FixedPool pool{options, pages};
    LiveBlocks live;
    while (input.more()) {
        const std::uint8_t choice = input.byte();
        if (choice < 110) {
            const FixedPool::Block block = pool.acquire_recorded();
            if (!block) continue;
            if (block.zero) LiveBlocks::require_zero(block.start, options.block_size);
            REQUIRE(reinterpret_cast<std::uintptr_t>(block.start) % pool.align() == 0);
            REQUIRE(pool.is_live(block.start));
            live.add(block.start, options.block_size);
        } else if (choice < 210 && !live.empty()) {
            std::byte* const block = live.remove(live.any(input)).start;
            REQUIRE(!pool.release_recorded(block + 1));
            REQUIRE(choice < 190 ? pool.release_recorded(block) : pool.release_unused(block));
            REQUIRE(!pool.release_recorded(block) && !pool.is_live(block));
        } else if (choice < 220 && !live.empty()) {
            const LiveBlocks::Block& block = live[live.any(input)];
            REQUIRE(pool.owns(block.start + input.below(block.bytes)));
            REQUIRE(pool.place_of(block.start).has_value());
        } else if (choice < 230) {
            pages.fail_after(input.below(4), input.byte());
        } else if (choice < 235) {
            pages.stop_failing();
        } else if (choice < 245) {
            pool.trim();
        } else {
            REQUIRE(pool.check() == live.count());
        }
        REQUIRE(live.count() <= options.max_blocks);
    }
    REQUIRE(pool.check() == live.count());
    pages.stop_failing();
    while (!live.empty()) REQUIRE(pool.release_recorded(live.remove(0).start));
    REQUIRE(pool.check() == 0);
    pool.trim();
    REQUIRE(pool.check() == 0);
    // It can be filled now, all of it.
    while (const FixedPool::Block block = pool.acquire_recorded())
        live.add(block.start, options.block_size);
    REQUIRE(live.count() == options.max_blocks);
}
