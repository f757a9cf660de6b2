#include "pools/slab/slab.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>
#include <set>
#include <vector>

#include "base/error.hpp"
#include "base/size_classes.hpp"
#include "pages/source/os_pages.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;

namespace {

/// A slab on pages of its own.
struct LoneSlab {
    explicit LoneSlab(std::size_t block_size, std::size_t touched = 0)
        : layout{block_size},
          memory{pages::os_pages().map(layout.bytes, pages::granule)},
          span{span_of(memory, touched)},
          record{std::malloc(Slab::record_bytes(layout)), &std::free},
          slab{*new (record.get()) Slab{layout, span}} {}
    ~LoneSlab() { pages::os_pages().unmap(memory); }

    static Span span_of(pages::Extent memory, std::size_t touched) {
        Span span;
        span.start = memory.start;
        span.granules = memory.bytes / pages::granule;
        span.zero_bytes = memory.bytes - touched;
        return span;
    }
    std::vector<FreeBlock> acquire(std::size_t most) {
        std::vector<FreeBlock> blocks(most);
        blocks.resize(slab.acquire(layout, blocks.data(), most));
        return blocks;
    }
    bool release(std::byte* block) { return slab.release(layout, {block, false}); }

    SlabLayout layout;
    pages::Extent memory;
    Span span;
    std::unique_ptr<void, void (*)(void*)> record;
    Slab& slab;
};

}  // namespace

TEST("a slab hands out each of its blocks once, inside its memory and without overlap") {
    const SizeClasses classes;
    for (std::size_t number = 0; number < classes.count(); ++number) {
        for (int again = 0; again < 3; ++again) {
            LoneSlab lone{classes.size(number)};
            CHECK(lone.layout.blocks >= (classes.size(number) < 32U << 10 ? 8U : 4U));
            std::vector<FreeBlock> blocks = lone.acquire(lone.layout.blocks + 5);
            CHECK_EQUAL(blocks.size(), lone.layout.blocks);
            CHECK_EQUAL(lone.slab.unused(), 0U);
            std::byte* end = lone.memory.start;
            for (const FreeBlock block : blocks) {
                CHECK(block.fresh());
                CHECK(block.start() >= end);
                end = block.start() + classes.size(number);
                const auto address = reinterpret_cast<std::uintptr_t>(block.start());
                CHECK_EQUAL(address % SizeClasses::align_of(classes.size(number)), 0U);
            }
            CHECK(end <= lone.memory.end());
            lone.slab.check(lone.layout);
        }
    }
}

TEST("a released block is no longer fresh, and comes back before untouched ones") {
    LoneSlab lone{64};
    const auto blocks = lone.acquire(10);
    CHECK(lone.release(blocks[3].start()));
    CHECK(lone.slab.release(lone.layout, blocks[7]));
    const auto again = lone.acquire(3);
    CHECK(again[0].start() == blocks[3].start());
    CHECK(!again[0].fresh());
    CHECK(again[1].start() == blocks[7].start());
    CHECK(again[1].fresh());
    CHECK(again[2].fresh());
}

TEST("a release of an address that is no acquired block is refused and changes nothing") {
    LoneSlab lone{192};
    const auto blocks = lone.acquire(2);
    CHECK(lone.slab.is_out(lone.layout, blocks[1].start()));
    CHECK(!lone.slab.is_out(lone.layout, blocks[1].start() + 192));
    CHECK(!lone.slab.is_out(lone.layout, blocks[1].start() + 16));
    CHECK(!lone.release(blocks[1].start() + 192));
    CHECK(!lone.release(blocks[1].start() + 16));
    CHECK(!lone.release(blocks[0].start() - 192));
    CHECK(lone.release(blocks[1].start()));
    CHECK(!lone.release(blocks[1].start()));
    CHECK_EQUAL(lone.slab.unused(), lone.layout.blocks - 1);
    lone.slab.check(lone.layout);
}

TEST("memory that was used before has no fresh blocks") {
    LoneSlab lone{4096, 10000};
    for (const FreeBlock block : lone.acquire(8)) {
        CHECK_EQUAL(block.fresh(), block.start() >= lone.memory.start + 10000);
    }
    LoneSlab whole{4096, 65536};
    for (const FreeBlock block : whole.acquire(whole.layout.blocks)) CHECK(!block.fresh());
}

TEST("a purge covers whole pages of unused blocks and makes these blocks fresh") {
    LoneSlab lone{1024};
    const auto blocks = lone.acquire(64);
    for (std::size_t i = 5; i < 40; ++i) {
        blocks[i].start()[0] = std::byte{1};
        CHECK(lone.release(blocks[i].start()));
    }
    const Slab::Run run = lone.slab.unused_run(lone.layout, 0);
    CHECK_EQUAL(run.first, 5U);
    CHECK_EQUAL(run.end, 40U);
    const pages::Extent pages = lone.slab.purgeable(lone.layout, run);
    CHECK(pages.start == lone.memory.start + 8192);
    CHECK_EQUAL(pages.bytes, 8U * 4096);
    CHECK_EQUAL(lone.slab.count_touched(lone.layout), 35U);
    CHECK(pages::os_pages().purge(pages));
    CHECK_EQUAL(lone.slab.note_purged(lone.layout, run, pages), 32U);
    CHECK_EQUAL(lone.slab.count_touched(lone.layout), 3U);
    for (const FreeBlock block : lone.acquire(35)) {
        if (block.fresh()) CHECK(block.start()[0] == std::byte{0});
    }
    const Slab::Run nothing = lone.slab.unused_run(lone.layout, 0);
    CHECK_EQUAL(nothing.first, nothing.end);
}

TEST("blocks of 2 KiB and more start at different cache lines of a page") {
    for (std::size_t size = 2048; size <= SizeClasses::largest; size += 2048) {
        const SlabLayout layout{size};
        CHECK(layout.stride.bytes() - size <= std::max<std::size_t>(64, size / 64));
        std::set<std::size_t> places;
        for (std::size_t i = 0; i < 64; ++i) places.insert(i * layout.stride.bytes() % 4096);
        CHECK_EQUAL(places.size(), 64U);
    }
    for (std::size_t size = 16; size <= SizeClasses::largest; size *= 2) {
        const SlabLayout layout{size};
        CHECK(layout.bytes - layout.blocks * size <= layout.bytes / 6);
    }
}

TEST("a slab agrees with a simple model through many random operations") {
    std::mt19937 random{7};
    for (std::size_t size : {16, 64, 1024, 4096, 65536}) {
        LoneSlab lone{size};
        std::set<std::byte*> out;
        for (int step = 0; step < 20000; ++step) {
            if (random() % 2 == 0) {
                const std::size_t unused = lone.slab.unused();
                const auto blocks = lone.acquire(random() % 20);
                CHECK_EQUAL(lone.slab.unused(), unused - blocks.size());
                for (const FreeBlock block : blocks) CHECK(out.insert(block.start()).second);
            } else {
                for (std::size_t n = random() % 20; n > 0 && !out.empty(); --n) {
                    auto at = std::next(
                        out.begin(),
                        static_cast<long>(random() % std::min<std::size_t>(out.size(), 16)));
                    CHECK(lone.release(*at));
                    out.erase(at);
                }
            }
            CHECK_EQUAL(lone.slab.unused() + out.size(), lone.layout.blocks);
            if (step % 100 == 0) lone.slab.check(lone.layout);
        }
    }
}
