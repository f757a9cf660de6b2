#include "threads/realtime/warm_blocks.hpp"

#include <cstdlib>
#include <cstring>
#include <set>
#include <thread>

#include "base/error.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"

namespace {

using namespace numpool;
using namespace numpool::threads;

/// An allocator that counts.
struct Before {
    std::size_t requests = 0;
    std::size_t releases = 0;

    AllocatorTable table() noexcept {
        return {this,
                [](void* self, std::size_t bytes) -> void* {
                    ++static_cast<Before*>(self)->requests;
                    return std::malloc(bytes);
                },
                [](void* self, std::size_t count, std::size_t size) -> void* {
                    ++static_cast<Before*>(self)->requests;
                    return std::calloc(count, size);
                },
                [](void* self, void* block, std::size_t bytes) -> void* {
                    ++static_cast<Before*>(self)->requests;
                    return std::realloc(block, bytes);
                },
                [](void* self, void* block, std::size_t) {
                    ++static_cast<Before*>(self)->releases;
                    std::free(block);
                }};
    }
};

struct Listener final : MissListener {
    bool missed(std::size_t bytes) noexcept override {
        last = bytes;
        ++misses;
        return serves;
    }
    std::size_t misses = 0;
    std::size_t last = 0;
    bool serves = true;
};

/// Warm blocks that this thread uses.
struct Warm {
    explicit Warm(std::vector<WarmSize> sizes) : blocks{std::move(sizes), pages, before.table()} {
        blocks.begin(listener);
    }
    void* malloc(std::size_t bytes) { return table.malloc(table.context, bytes); }
    void free(void* block, std::size_t bytes = 0) { table.free(table.context, block, bytes); }
    void* realloc(void* block, std::size_t bytes) {
        return table.realloc(table.context, block, bytes);
    }

    pages::FakePages pages;
    Before before;
    Listener listener;
    WarmBlocks blocks;
    AllocatorTable table = blocks.table();
};

TEST("each announced block serves, and the request after the last one is a miss") {
    Warm warm{{{1000, 3}, {64, 2}, {100'000, 1}}};
    std::set<void*> blocks;
    for (const std::size_t bytes : {1000, 1000, 1000, 64, 64, 100'000}) {
        void* const block = warm.malloc(bytes);
        CHECK(warm.blocks.owns(block));
        CHECK(reinterpret_cast<std::uintptr_t>(block) % 64 == 0);
        std::memset(block, 0xAB, bytes);
        blocks.insert(block);
    }
    CHECK_EQUAL(blocks.size(), 6U);
    CHECK_EQUAL(warm.listener.misses, 0U);
    void* const missed = warm.malloc(64);
    CHECK(missed != nullptr && !warm.blocks.owns(missed));
    CHECK_EQUAL(warm.listener.misses, 1U);
    CHECK_EQUAL(warm.listener.last, 64U);
    warm.free(missed);
    for (void* const block : blocks) warm.free(block);
    CHECK_EQUAL(warm.before.releases, 1U);
    for (const auto& size : warm.blocks.figures()) {
        CHECK_EQUAL(size.in_use, 0U);
        CHECK_EQUAL(size.most_in_use, size.blocks);
    }
}

TEST("a request takes the smallest free block that fits") {
    Warm warm{{{100, 1}, {1000, 1}, {5000, 1}}};
    void* const first = warm.malloc(1);
    void* const second = warm.malloc(100);
    const auto figures = warm.blocks.figures();
    CHECK_EQUAL(figures[0].in_use, 1U);
    CHECK_EQUAL(figures[1].in_use, 1U);
    CHECK_EQUAL(figures[1].smaller, 1U);
    CHECK_EQUAL(figures[2].in_use, 0U);
    warm.free(first);
    warm.free(second);
}

TEST("many sizes are searched across the words of the bitmap") {
    std::vector<WarmSize> sizes;
    for (std::size_t i = 1; i <= 200; ++i) sizes.push_back({i * 64, 1});
    Warm warm{sizes};
    std::set<void*> blocks;
    for (std::size_t i = 0; i < 200; ++i) blocks.insert(warm.malloc(1));
    CHECK_EQUAL(blocks.size(), 200U);
    CHECK_EQUAL(warm.listener.misses, 0U);
    warm.free(warm.malloc(1));
    CHECK_EQUAL(warm.listener.misses, 1U);
    for (void* const block : blocks) warm.free(block);
}

TEST("sizes that need blocks of the same distance are one size") {
    Warm warm{{{800, 1}, {805, 2}, {0, 0}}};
    const auto figures = warm.blocks.figures();
    CHECK_EQUAL(figures.size(), 1U);
    CHECK_EQUAL(figures[0].bytes, 805U);
    CHECK_EQUAL(figures[0].blocks, 3U);
}

TEST("a refused miss is null and changes nothing") {
    Warm warm{{{64, 1}}};
    warm.listener.serves = false;
    CHECK(warm.malloc(65) == nullptr);
    CHECK(warm.table.calloc(warm.table.context, 65, 1) == nullptr);
    void* const block = warm.malloc(60);
    CHECK(warm.realloc(block, 65) == nullptr);
    CHECK_EQUAL(warm.before.requests, 0U);
    CHECK_EQUAL(warm.blocks.figures()[0].in_use, 1U);
    CHECK_EQUAL(warm.blocks.refusal(65),
                std::string{"65 bytes requested; the largest warm block has 64"});
    CHECK_EQUAL(warm.blocks.refusal(9),
                std::string{"9 bytes requested; the 1 block of 64 bytes is in use"});
    warm.free(block);
}

TEST("a reallocation keeps the contents, in place or in a larger block") {
    Warm warm{{{64, 1}, {128, 1}}};
    auto* block = static_cast<char*>(warm.malloc(10));
    std::strcpy(block, "contents");
    CHECK(warm.realloc(block, 64) == block);
    auto* const larger = static_cast<char*>(warm.realloc(block, 65));
    CHECK(larger != block && warm.blocks.owns(larger));
    CHECK_EQUAL(std::string{larger}, std::string{"contents"});
    auto* const outside = static_cast<char*>(warm.realloc(larger, 1000));
    CHECK(!warm.blocks.owns(outside));
    CHECK_EQUAL(std::string{outside}, std::string{"contents"});
    CHECK_EQUAL(warm.blocks.figures()[0].in_use + warm.blocks.figures()[1].in_use, 0U);
    CHECK_EQUAL(warm.listener.misses, 1U);
    warm.free(outside);
}

TEST("a zeroed block reads as zero, also one that was used before") {
    Warm warm{{{64, 1}}};
    void* const block = warm.malloc(64);
    std::memset(block, 0xFF, 64);
    warm.free(block);
    const auto* const zeroed =
        static_cast<const unsigned char*>(warm.table.calloc(warm.table.context, 8, 8));
    for (int i = 0; i < 64; ++i) CHECK_EQUAL(int{zeroed[i]}, 0);
    CHECK(warm.table.calloc(warm.table.context, ~std::size_t{0}, 2) == nullptr);
}

TEST("another thread's requests pass to the allocator before, and it may release warm blocks") {
    Warm warm{{{64, 1}}};
    void* const block = warm.malloc(64);
    std::thread{[&] {
        void* const other = warm.malloc(64);
        CHECK(!warm.blocks.owns(other));
        warm.free(other);
        warm.free(block);
    }}.join();
    CHECK_EQUAL(warm.listener.misses, 0U);
    CHECK_EQUAL(warm.blocks.figures()[0].in_use, 0U);
}

TEST("after the end requests pass by, and live blocks stay valid") {
    Warm warm{{{64, 2}}};
    void* const block = warm.malloc(64);
    warm.blocks.end();
    void* const later = warm.malloc(64);
    CHECK(!warm.blocks.owns(later));
    CHECK_EQUAL(warm.listener.misses, 0U);
    std::memset(block, 1, 64);
    warm.free(block);
    warm.free(later);
}

TEST("what cannot be is refused before anything is mapped") {
    pages::FakePages pages;
    Before before;
    const auto make = [&](std::vector<WarmSize> sizes) {
        WarmBlocks{std::move(sizes), pages, before.table()};
    };
    CHECK_THROWS(BadArgument, "a warm block of 281474976710656 bytes is larger than",
                 make({{std::size_t{1} << 48, 1}}));
    CHECK_THROWS(BadArgument, "larger together than an address space",
                 make({{std::size_t{1} << 46, 3}}));
    CHECK_THROWS(BadArgument, "are too many: there may be no more than 4294967293 of a size",
                 make({{64, std::size_t{1} << 32}}));
    std::vector<WarmSize> sizes;
    for (std::size_t i = 1; i <= 1025; ++i) sizes.push_back({i * 64, 1});
    CHECK_THROWS(BadArgument, "1025 sizes are too many", make(sizes));
    pages.limit = 4096;
    CHECK_THROWS(Exhausted, "realtime: the system refused", make({{1 << 20, 1}}));
    CHECK_EQUAL(pages.mapped, 0U);
}

TEST("without sizes every request is a miss") {
    Warm warm{{}};
    warm.free(warm.malloc(1));
    CHECK_EQUAL(warm.listener.misses, 1U);
    CHECK_EQUAL(warm.blocks.refusal(1), std::string{"1 bytes requested; there are no warm blocks"});
}

}  // namespace
