#include "pools/slab/slab_cache.hpp"

#include <cstring>
#include <memory>
#include <vector>

#include "base/error.hpp"
#include "pages/source/fake_pages.hpp"
#include "pools/moving/span_mover.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;

namespace {

/// One cache over a bank of its own, over pages that count and fail.
struct LoneCache {
    explicit LoneCache(std::size_t block_size,
                       const SpanBankOptions& options = {.moving = move_pages})
        : owner{pages::page_map.enrol(this)},
          bank{std::make_unique<SpanBank>(options, owner, pages)},
          store{*bank, pages, pages},
          cache{block_size, pages::Kind{5}, store} {}
    ~LoneCache() {
        bank.reset();
        pages::page_map.withdraw(owner);
    }

    std::vector<FreeBlock> take(std::size_t most) {
        std::vector<FreeBlock> blocks(most);
        blocks.resize(cache.take(blocks.data(), most));
        return blocks;
    }
    std::vector<FreeBlock> take_all(std::size_t count) {
        std::vector<FreeBlock> all;
        while (all.size() < count) {
            for (const FreeBlock block : take(count - all.size())) all.push_back(block);
        }
        return all;
    }
    void give(const std::vector<FreeBlock>& blocks) { cache.give(blocks.data(), blocks.size()); }

    pages::FakePages pages{pages::range_pages()};
    pages::Tag owner;
    std::unique_ptr<SpanBank> bank;
    SlabStore store;
    SlabCache cache;
};

}  // namespace

TEST("a cache makes a slab for the first block only, and marks its memory") {
    LoneCache lone{64};
    CHECK_EQUAL(lone.take(2000).size(), lone.cache.layout().blocks);
    CHECK_EQUAL(lone.cache.figures().slabs, 1U);
    const auto one = lone.take(1);
    CHECK_EQUAL(lone.cache.figures().slabs, 2U);
    CHECK_EQUAL(pages::page_map.tag(one[0].start()), lone.owner + 5);
    CHECK_EQUAL(lone.cache.figures().blocks_out, lone.cache.layout().blocks + 1);
    CHECK(lone.cache.is_out(one[0].start()));
    lone.cache.check();
}

TEST("a fresh block with pages of its own comes alone, and when no touched one is left") {
    LoneCache lone{16384};
    const std::size_t in_slab = lone.cache.layout().blocks;
    auto touched = lone.take_all(5);
    CHECK_EQUAL(lone.cache.figures().slabs, 1U);
    CHECK_EQUAL(lone.take(8).size(), 1U);
    for (FreeBlock& block : touched) block = {block.start(), false};
    lone.give(touched);
    lone.cache.settle();
    lone.cache.check();
    // What is left of the slab is fresh: five touched ones and no more.
    const auto again = lone.take(8);
    CHECK_EQUAL(again.size(), 5U);
    for (const FreeBlock block : again) CHECK(!block.fresh());
    const auto last = lone.take_all(in_slab - 6);
    for (const FreeBlock block : last) CHECK(block.fresh());
    CHECK_EQUAL(lone.cache.figures().slabs, 1U);
    lone.cache.check();
    CHECK_EQUAL(lone.take(8).size(), 1U);
    CHECK_EQUAL(lone.cache.figures().slabs, 2U);
}

TEST("a slab of memory that was touched is made rather than a fresh block taken") {
    LoneCache lone{16384};
    auto first = lone.take_all(3 * lone.cache.layout().blocks);
    for (FreeBlock& block : first) block = {block.start(), false};
    const auto other = lone.take(1);
    lone.give(first);
    lone.cache.settle();
    CHECK(lone.bank->figures().cached >= lone.cache.layout().bytes);
    for (const FreeBlock block : lone.take_all(first.size())) CHECK(!block.fresh());
    CHECK(lone.take(1)[0].fresh());
    lone.cache.check();
}

TEST("a trim that leaves fresh blocks only has their slab come last") {
    LoneCache lone{16384};
    auto blocks = lone.take_all(lone.cache.layout().blocks);
    for (FreeBlock& block : blocks) block = {block.start(), false};
    lone.give({blocks.begin() + 1, blocks.end()});
    CHECK(lone.cache.purge_partial() > 0);
    lone.cache.check();
    CHECK(lone.cache.figures().touched_blocks * 2 < blocks.size());
    const auto after = lone.take_all(blocks.size() - 1);
    lone.cache.check();
    CHECK_EQUAL(lone.cache.figures().slabs, 1U);
}

TEST("blocks come from the fuller of two partial slabs, so that the other can empty") {
    LoneCache lone{1024};
    auto first = lone.take(64);
    auto second = lone.take(64);
    lone.give({first.begin(), first.begin() + 40});
    lone.give({second.begin(), second.begin() + 5});
    lone.cache.settle();
    for (const FreeBlock block : lone.take(5)) {
        CHECK(pages::page_map.note(block.start()) == pages::page_map.note(second[0].start()));
    }
    lone.cache.check();
}

TEST("blocks that come back are the next to go, without a look at their slabs") {
    LoneCache lone{64};
    const auto blocks = lone.take(64);
    lone.give({blocks.begin(), blocks.begin() + 40});
    CHECK_EQUAL(lone.cache.in_passing().size(), 40U);
    CHECK_EQUAL(lone.cache.figures().blocks_out, 24U);
    const auto again = lone.take(64);
    CHECK_EQUAL(again.size(), 40U);
    CHECK(again[0].start() == blocks[0].start());
    for (int i = 0; i < 20; ++i) lone.give(lone.take_all(100));
    CHECK(lone.cache.in_passing().size() <= SlabCache::most_in_passing);
    lone.cache.settle();
    CHECK_EQUAL(lone.cache.figures().blocks_out, 64U);
    lone.cache.check();
}

TEST("an eighth of the slabs, one at least, is kept empty, the rest goes to the bank") {
    LoneCache lone{1024};
    const auto blocks = lone.take_all(64 * 40);
    CHECK_EQUAL(lone.cache.figures().slabs, 40U);
    lone.give(blocks);
    CHECK_EQUAL(lone.cache.figures().slabs, 1U);
    CHECK_EQUAL(lone.cache.figures().empty_slabs, 1U);
    CHECK_EQUAL(lone.bank->figures().live, 65536U);
    CHECK(lone.bank->figures().cached >= 39 * 65536U);
    lone.cache.check();
    CHECK_EQUAL(lone.cache.give_back_empty(), 65536U);
    CHECK_EQUAL(lone.bank->figures().live, 0U);
}

TEST("an empty slab that was needed meanwhile survives one decay, not two") {
    LoneCache lone{64};
    lone.give(lone.take(10));
    CHECK_EQUAL(lone.cache.decay(), 0U);
    lone.give(lone.take(10));
    CHECK_EQUAL(lone.cache.decay(), 0U);
    CHECK_EQUAL(lone.cache.decay(), 65536U);
    CHECK_EQUAL(lone.cache.figures().slabs, 0U);
}

TEST("a second release of a block is counted, told by check, and takes nothing from anyone") {
    LoneCache lone{64};
    const auto blocks = lone.take(3);
    lone.give({blocks[0]});
    lone.give({blocks[0]});
    lone.cache.settle();
    CHECK_EQUAL(lone.cache.figures().refused, 1U);
    CHECK_EQUAL(lone.cache.figures().blocks_out, 2U);
    CHECK_THROWS(Corrupted, "refused 1 releases of blocks that were not in use",
                 lone.cache.check());
}

TEST("purging partial slabs gives pages back and keeps what lives") {
    LoneCache lone{1024};
    auto blocks = lone.take_all(640);
    for (const FreeBlock block : blocks) std::memset(block.start(), 0x5a, 1024);
    std::vector<FreeBlock> gone;
    std::vector<FreeBlock> kept;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        (i % 16 == 0 ? kept : gone).push_back({blocks[i].start(), false});
    }
    lone.give(gone);
    CHECK_EQUAL(lone.cache.figures().touched_blocks, gone.size());
    const std::size_t purged = lone.cache.purge_partial();
    CHECK_EQUAL(purged, 10U * 4 * 12 * 1024);
    CHECK_EQUAL(lone.pages.purged, purged);
    CHECK_EQUAL(lone.cache.figures().touched_blocks, gone.size() - purged / 1024);
    for (const FreeBlock block : kept) {
        for (std::size_t i = 0; i < 1024; ++i) CHECK(block.start()[i] == std::byte{0x5a});
    }
    for (const FreeBlock block : lone.take_all(gone.size())) {
        if (!block.fresh()) continue;
        for (std::size_t i = 0; i < 1024; ++i) CHECK(block.start()[i] == std::byte{0});
    }
    lone.cache.check();
}

TEST("a cache survives every refusal of pages") {
    for (std::size_t n = 0; n < 12; ++n) {
        LoneCache lone{32768};
        std::vector<FreeBlock> held;
        lone.pages.fail_after(n, 1);
        for (int i = 0; i < 10; ++i) {
            for (const FreeBlock block : lone.take(7)) held.push_back(block);
            lone.cache.check();
        }
        lone.pages.stop_failing();
        lone.give(held);
        lone.cache.purge_partial();
        lone.cache.check();
        CHECK_EQUAL(lone.cache.figures().blocks_out, 0U);
        lone.cache.give_back_empty();
        CHECK_EQUAL(lone.bank->figures().live, 0U);
    }
}
