#include <cstring>
#include <fstream>
#include <set>
#include <vector>

#include "pages/source/page_source.hpp"
#include "testing.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

std::size_t resident_bytes() {
    std::ifstream file{"/proc/self/statm"};
    std::size_t mapped = 0;
    std::size_t resident = 0;
    file >> mapped >> resident;
    return resident * pages::page_size();
}

std::size_t grown_since(std::size_t before) {
    const std::size_t now = resident_bytes();
    return now > before ? now - before : 0;
}

/// Room for addresses, touched before the measurement so that it does not count.
std::vector<std::byte*> room_for(std::size_t count) {
    return std::vector<std::byte*>(count, reinterpret_cast<std::byte*>(1));
}

/// The memory that a pool and its thread need once, for any requests.
#if defined(__SANITIZE_THREAD__)
constexpr std::size_t once = 1 << 30;  // its shadow of what is touched
#elif defined(__SANITIZE_ADDRESS__)
constexpr std::size_t once = 4 << 20;
#else
constexpr std::size_t once = 512 << 10;
#endif

}  // namespace

TEST("a million blocks of 64 bytes cost 1 % more than their bytes, and trim gives all back") {
    constexpr std::size_t count = 1000000;
    auto blocks = room_for(count);
    const auto pool = SharedSlabPool::create();
    const std::size_t before = resident_bytes();
    for (std::byte*& block : blocks) {
        block = pool->acquire(64);
        std::memset(block, 1, 64);
    }
    const std::size_t during = grown_since(before);
    CHECK(during >= count * 64);
    CHECK(during <= count * 64 + count * 64 / 100 + once);
    for (std::byte* const block : blocks) pool->try_release(block, 64);
    CHECK(pool->trim() >= count * 64 / 100 * 99);
    CHECK(grown_since(before) <= during / 100 + once);
}

TEST("repeated bursts touch no more blocks than the first one") {
    constexpr std::size_t count = 1000;
    for (const std::size_t size : {4096, 5000, 12288, 16384, 40000, 65536}) {
        const auto pool = SharedSlabPool::create();
        std::set<const std::byte*> touched;
        auto blocks = room_for(count);
        for (int round = 0; round < 6; ++round) {
            for (std::byte*& block : blocks) {
                block = pool->acquire(size);
                const bool first = touched.insert(block).second;
                CHECK(!first || round == 0);
            }
            for (std::byte* const block : blocks) CHECK(pool->try_release(block, size));
        }
        pool->check();
    }
}

TEST("scattered pages in the bank do not make each block get a slab of its own") {
    SharedSlabPoolOptions options;
    options.spans.decay_milliseconds = 1000000;
    const auto pool = SharedSlabPool::create(options);
    // Every second granule becomes free. A slab of two granules fits nowhere.
    std::vector<std::byte*> blocks;
    for (int i = 0; i < 6000; ++i) blocks.push_back(pool->acquire(4096));
    for (std::byte* const block : blocks) {
        block[0] = std::byte{1};
        if (reinterpret_cast<std::uintptr_t>(block) / pages::granule % 2 == 1) {
            CHECK(pool->try_release(block, 4096));
        }
    }
    CHECK(pool->centre().bank().figures().cached > 5 << 20);
    for (const std::size_t size : {8192, 12288, 16384}) {
        for (int i = 0; i < 2000; ++i) pool->acquire(size)[0] = std::byte{1};
        const std::size_t number = class_at(pool->centre().offsets().of(size));
        CHECK(pool->class_figures().classes[number].mapped < 2000 * size / 10 * 13);
    }
    pool->check();
}

TEST("a megabyte in blocks of every size needs little more memory") {
    const auto pool = SharedSlabPool::create();
    std::vector<std::byte*> blocks;
    const std::size_t before = resident_bytes();
    std::size_t held = 0;
    for (std::size_t number = 0; number < pool->classes().count(); ++number) {
        const std::size_t size = pool->classes().size(number);
        for (std::size_t bytes = 0; bytes < 24 << 10; bytes += size) {
            blocks.push_back(pool->acquire(size));
            std::memset(blocks.back(), 1, size);
            held += size;
        }
    }
    CHECK(held > 1 << 20);
    CHECK(grown_since(before) <= held + held / 8 + once);
}

TEST("blocks that are acquired and not touched take no memory") {
    const auto pool = SharedSlabPool::create();
    const std::size_t before = resident_bytes();
    for (int i = 0; i < 2000; ++i) pool->try_acquire_zeroed(65536);
    for (int i = 0; i < 200; ++i) pool->try_acquire_zeroed(1000000);
    CHECK(grown_since(before) <= once);
}

TEST("trim gives back the pages between live blocks") {
    const auto pool = SharedSlabPool::create();
    auto blocks = room_for(40000);
    const std::size_t before = resident_bytes();
    for (std::byte*& block : blocks) {
        block = pool->acquire(1024);
        std::memset(block, 1, 1024);
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        if (i % 40 != 0) pool->try_release(blocks[i], 1024);
    }
    CHECK(grown_since(before) >= 40000 << 10);
    pool->trim();
    CHECK(grown_since(before) <= (1000 << 12) + once);
    pool->check();
    for (std::size_t i = 0; i < blocks.size(); i += 40) {
        for (int byte = 0; byte < 1024; ++byte) CHECK(blocks[i][byte] == std::byte{1});
    }
}
