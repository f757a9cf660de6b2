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

/// A cache with its own bank, on pages that count and fail.
struct LoneCache {
    explicit LoneCache(std::size_t block_size,
                       const SpanBankOptions& options = {.moving = move_pages})
        : owner{pages::page_map.register_pool()},
          bank{std::make_unique<SpanBank>(options, owner, pages)},
          store{*bank, pages, pages},
          cache{block_size, pages::Kind{5}, store} {}
    ~LoneCache() {
        bank.reset();
        pages::page_map.unregister_pool(owner);
    }

    std::vector<FreeBlock> acquire(std::size_t most) {
        std::vector<FreeBlock> blocks(most);
        blocks.resize(cache.acquire_batch(blocks.data(), most));
        return blocks;
    }
    std::vector<FreeBlock> acquire_all(std::size_t count) {
        std::vector<FreeBlock> all;
        while (all.size() < count) {
            for (const FreeBlock block : acquire(count - all.size())) all.push_back(block);
        }
        return all;
    }
    void release(const std::vector<FreeBlock>& blocks) {
        cache.release_batch(blocks.data(), blocks.size());
    }

    pages::FakePages pages{pages::range_pages()};
    pages::Tag owner;
    std::unique_ptr<SpanBank> bank;
    SlabStore store;
    SlabCache cache;
};

}  // namespace

TEST("a batch makes a slab for its first block only, and the page map knows it") {
    LoneCache lone{64};
    CHECK_EQUAL(lone.acquire(2000).size(), lone.cache.layout().blocks);
    CHECK_EQUAL(lone.cache.figures().slabs, 1U);
    const auto one = lone.acquire(1);
    CHECK_EQUAL(lone.cache.figures().slabs, 2U);
    CHECK_EQUAL(pages::page_map.tag(one[0].start()), lone.owner + 5);
    CHECK_EQUAL(lone.cache.figures().blocks_out, lone.cache.layout().blocks + 1);
    CHECK(lone.cache.is_out(one[0].start()));
    lone.cache.check();
}

TEST("a fresh block of a page or more comes alone, and only if no touched one is left") {
    LoneCache lone{16384};
    const std::size_t in_slab = lone.cache.layout().blocks;
    auto touched = lone.acquire_all(5);
    CHECK_EQUAL(lone.cache.figures().slabs, 1U);
    CHECK_EQUAL(lone.acquire(8).size(), 1U);
    for (FreeBlock& block : touched) block = {block.start(), false};
    lone.release(touched);
    lone.cache.flush_transfer();
    lone.cache.check();
    // The other blocks of the slab are fresh: there are five touched ones and no more.
    const auto again = lone.acquire(8);
    CHECK_EQUAL(again.size(), 5U);
    for (const FreeBlock block : again) CHECK(!block.fresh());
    const auto last = lone.acquire_all(in_slab - 6);
    for (const FreeBlock block : last) CHECK(block.fresh());
    CHECK_EQUAL(lone.cache.figures().slabs, 1U);
    lone.cache.check();
    CHECK_EQUAL(lone.acquire(8).size(), 1U);
    CHECK_EQUAL(lone.cache.figures().slabs, 2U);
}

TEST("a new slab of touched memory is preferred to a fresh block") {
    LoneCache lone{16384};
    auto first = lone.acquire_all(3 * lone.cache.layout().blocks);
    for (FreeBlock& block : first) block = {block.start(), false};
    const auto other = lone.acquire(1);
    lone.release(first);
    lone.cache.flush_transfer();
    CHECK(lone.bank->figures().cached >= lone.cache.layout().bytes);
    for (const FreeBlock block : lone.acquire_all(first.size())) CHECK(!block.fresh());
    CHECK(lone.acquire(1)[0].fresh());
    lone.cache.check();
}

TEST("a slab with fresh blocks only, after a trim, serves last") {
    LoneCache lone{16384};
    auto blocks = lone.acquire_all(lone.cache.layout().blocks);
    for (FreeBlock& block : blocks) block = {block.start(), false};
    lone.release({blocks.begin() + 1, blocks.end()});
    CHECK(lone.cache.purge_partial() > 0);
    lone.cache.check();
    CHECK(lone.cache.figures().touched_blocks * 2 < blocks.size());
    const auto after = lone.acquire_all(blocks.size() - 1);
    lone.cache.check();
    CHECK_EQUAL(lone.cache.figures().slabs, 1U);
}

TEST("blocks come from the fuller of two partial slabs, so that the other becomes empty") {
    LoneCache lone{1024};
    auto first = lone.acquire(64);
    auto second = lone.acquire(64);
    lone.release({first.begin(), first.begin() + 40});
    lone.release({second.begin(), second.begin() + 5});
    lone.cache.flush_transfer();
    for (const FreeBlock block : lone.acquire(5)) {
        CHECK(pages::page_map.note(block.start()) == pages::page_map.note(second[0].start()));
    }
    lone.cache.check();
}

TEST("released blocks are acquired next, without an access to their slabs") {
    LoneCache lone{64};
    const auto blocks = lone.acquire(64);
    lone.release({blocks.begin(), blocks.begin() + 40});
    CHECK_EQUAL(lone.cache.in_transfer().size(), 40U);
    CHECK_EQUAL(lone.cache.figures().blocks_out, 24U);
    const auto again = lone.acquire(64);
    CHECK_EQUAL(again.size(), 40U);
    CHECK(again[0].start() == blocks[0].start());
    for (int i = 0; i < 20; ++i) lone.release(lone.acquire_all(100));
    CHECK(lone.cache.in_transfer().size() <= SlabCache::most_in_transfer);
    lone.cache.flush_transfer();
    CHECK_EQUAL(lone.cache.figures().blocks_out, 64U);
    lone.cache.check();
}

TEST("an eighth of the slabs, at least one, is kept empty; the others go to the bank") {
    LoneCache lone{1024};
    const auto blocks = lone.acquire_all(64 * 40);
    CHECK_EQUAL(lone.cache.figures().slabs, 40U);
    lone.release(blocks);
    CHECK_EQUAL(lone.cache.figures().slabs, 1U);
    CHECK_EQUAL(lone.cache.figures().empty_slabs, 1U);
    CHECK_EQUAL(lone.bank->figures().live, 65536U);
    CHECK(lone.bank->figures().cached >= 39 * 65536U);
    lone.cache.check();
    CHECK_EQUAL(lone.cache.give_back_empty(), 65536U);
    CHECK_EQUAL(lone.bank->figures().live, 0U);
}

TEST("an empty slab that was needed survives one decay, but not two") {
    LoneCache lone{64};
    lone.release(lone.acquire(10));
    CHECK_EQUAL(lone.cache.decay(), 0U);
    lone.release(lone.acquire(10));
    CHECK_EQUAL(lone.cache.decay(), 0U);
    CHECK_EQUAL(lone.cache.decay(), 65536U);
    CHECK_EQUAL(lone.cache.figures().slabs, 0U);
}

TEST("a double release is counted and found by check, and changes nothing") {
    LoneCache lone{64};
    const auto blocks = lone.acquire(3);
    lone.release({blocks[0]});
    lone.release({blocks[0]});
    lone.cache.flush_transfer();
    CHECK_EQUAL(lone.cache.figures().refused, 1U);
    CHECK_EQUAL(lone.cache.figures().blocks_out, 2U);
    CHECK_THROWS(Corrupted, "refused 1 releases of blocks that were not in use",
                 lone.cache.check());
}

TEST("purging partial slabs gives pages back and keeps live blocks") {
    LoneCache lone{1024};
    auto blocks = lone.acquire_all(640);
    for (const FreeBlock block : blocks) std::memset(block.start(), 0x5a, 1024);
    std::vector<FreeBlock> gone;
    std::vector<FreeBlock> kept;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        (i % 16 == 0 ? kept : gone).push_back({blocks[i].start(), false});
    }
    lone.release(gone);
    CHECK_EQUAL(lone.cache.figures().touched_blocks, gone.size());
    const std::size_t purged = lone.cache.purge_partial();
    CHECK_EQUAL(purged, 10U * 4 * 12 * 1024);
    CHECK_EQUAL(lone.pages.purged, purged);
    CHECK_EQUAL(lone.cache.figures().touched_blocks, gone.size() - purged / 1024);
    for (const FreeBlock block : kept) {
        for (std::size_t i = 0; i < 1024; ++i) CHECK(block.start()[i] == std::byte{0x5a});
    }
    for (const FreeBlock block : lone.acquire_all(gone.size())) {
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
            for (const FreeBlock block : lone.acquire(7)) held.push_back(block);
            lone.cache.check();
        }
        lone.pages.stop_failing();
        lone.release(held);
        lone.cache.purge_partial();
        lone.cache.check();
        CHECK_EQUAL(lone.cache.figures().blocks_out, 0U);
        lone.cache.give_back_empty();
        CHECK_EQUAL(lone.bank->figures().live, 0U);
    }
}
