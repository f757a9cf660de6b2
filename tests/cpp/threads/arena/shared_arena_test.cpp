#include "threads/arena/shared_arena.hpp"

#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

using Handle = PoolHandle<SharedArena>;

SharedArenaOptions named(const char* name) {
    SharedArenaOptions options;
    options.name = name;
    return options;
}

}  // namespace

TEST("a block in use keeps an arena from ending, an idle block does not") {
    const Handle arena = SharedArena::create();
    const SharedArena::Idle idle = arena->acquire(100);
    CHECK(arena->begin_use(idle.start, idle.ticket));
    CHECK(!arena->try_reset());
    CHECK(!arena->try_close());
    CHECK(!arena->try_rewind(arena->beginning()));
    CHECK(arena->is_current(idle.ticket));
    arena->release(idle.start);
    CHECK_EQUAL(arena->figures().blocks, 1U);
    CHECK(arena->try_reset());
    CHECK(!arena->is_current(idle.ticket));
    arena->drop(idle.start, idle.ticket);
    CHECK(arena->try_close());
    CHECK_THROWS(Closed, "Arena is closed", arena->acquire(1));
    CHECK(arena->try_acquire(1) == nullptr);
    CHECK(arena->try_close());
}

TEST("a usage's text has the number of blocks and the first few") {
    const Handle arena = SharedArena::create();
    SharedArena::Usage usage;
    arena->add_usage(arena->beginning(), usage);
    CHECK_EQUAL(usage.blocks, 0U);
    std::vector<std::byte*> blocks;
    for (std::size_t i = 1; i <= 6; ++i) blocks.push_back(arena->try_acquire(i * 10));
    arena->add_usage(arena->beginning(), usage);
    CHECK_EQUAL(usage.blocks, 6U);
    CHECK_EQUAL(usage.first.size(), 4U);
    const std::string text = usage.text();
    CHECK(text.starts_with("6 blocks are still in use by arrays or views: 10 bytes at 0x"));
    CHECK(text.ends_with(" and 2 more"));
    for (std::byte* const block : blocks) arena->release(block);
}

TEST("an arena lives as long as a block, a ticket or a handle does") {
    pages::FakePages pages;
    SharedArena* arena = nullptr;
    SharedArena::Idle idle;
    std::byte* block = nullptr;
    {
        const Handle handle = SharedArena::create({}, pages);
        arena = handle.get();
        idle = arena->acquire(100);
        block = arena->try_acquire(100);
    }
    std::memset(block, 1, 100);
    arena->release(block);
    CHECK(arena->is_current(idle.ticket));
    CHECK(pages.mapped != 0);
    arena->drop(idle.start, idle.ticket);
    CHECK_EQUAL(pages.mapped, 0U);
}

TEST("a closed arena's memory goes with its last use") {
    pages::FakePages pages;
    const Handle arena = SharedArena::create({}, pages);
    std::byte* const block = arena->try_acquire(100);
    arena->close();
    CHECK(arena->owns(block));
    CHECK(arena->try_reallocate(block, 50) == nullptr);
    CHECK_EQUAL(arena->usable_size(block), 112U);
    arena->check();
    arena->release(block);
    CHECK_EQUAL(pages.mapped, 0U);
    CHECK_EQUAL(arena->figures().mapped, 0U);
    CHECK_EQUAL(arena->figures().requests, 1U);
    CHECK(!arena->owns(block));
    CHECK(!arena->try_release(block, 100));
}

TEST("as a source of bytes an arena reallocates and refuses foreign blocks") {
    const Handle arena = SharedArena::create();
    std::byte* block = arena->try_acquire(100);
    std::memset(block, 3, 100);
    for (const std::size_t bytes : {200, 5000, 100000, 1000000, 50}) {
        block = arena->try_reallocate(block, bytes);
        for (int i = 0; i < 50; ++i) CHECK(block[i] == std::byte{3});
    }
    std::byte stranger{};
    CHECK(!arena->try_release(&stranger, 1));
    CHECK(arena->try_reallocate(&stranger, 1) == nullptr);
    CHECK_EQUAL(arena->usable_size(&stranger), 0U);
    CHECK(arena->try_release(nullptr, 0));
    CHECK(arena->try_release(block, 50));
    arena->check();
}

TEST("a refusal names the arena and the requested size, and changes nothing") {
    pages::FakePages pages;
    const Handle arena = SharedArena::create(named("requests"), pages);
    arena->release(arena->try_acquire(10));
    pages.fail_after(0);
    CHECK_THROWS(Exhausted, "Arena 'requests': 1 MiB requested, 64 KiB taken so far",
                 arena->acquire(1 << 20));
    CHECK_EQUAL(arena->figures().failures, 1U);
    CHECK_EQUAL(arena->figures().blocks, 0U);
    arena->check();
}

TEST("children made since a mark are listed until they end, the newest first") {
    const Handle parent = SharedArena::create();
    const Handle first = SharedArena::create({}, pages::os_pages(), parent);
    const SharedArena::Mark mark = parent->mark();
    const Handle second = SharedArena::create({}, pages::os_pages(), parent);
    {
        const Handle third = SharedArena::create({}, pages::os_pages(), parent);
        const auto all = parent->children_since({});
        CHECK_EQUAL(all.size(), 3U);
        CHECK(all[0].get() == third.get());
        CHECK(all[2].get() == first.get());
        CHECK_EQUAL(parent->children_since(mark).size(), 2U);
    }
    CHECK_EQUAL(parent->children_since({}).size(), 2U);
    second->close();
    CHECK(parent->children_since({})[0].get() == first.get());
    parent->close();
    CHECK_THROWS(Closed, "Arena is closed", SharedArena::create({}, pages::os_pages(), parent));
}

TEST("an error says that a mark is of a state that the arena has left") {
    const Handle arena = SharedArena::create(named("m"));
    const SharedArena::Idle idle = arena->acquire(10);
    const SharedArena::Mark mark = arena->mark();
    arena->require_known(mark);
    CHECK(arena->try_reset());
    CHECK_THROWS(BadArgument, "Arena 'm': this mark is of a state that the arena has left",
                 arena->try_rewind(mark));
    arena->drop(idle.start, idle.ticket);
}

TEST("threads acquire, use, drop and reset one arena, and no block in use ends") {
    const Handle arena = SharedArena::create();
    std::atomic<bool> stop = false;
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (unsigned seed = 0; seed < 3; ++seed) {
        threads.emplace_back([&, seed] {
            std::mt19937 random{seed};
            const auto pattern = static_cast<int>(seed + 1);
            for (int i = 0; i < 4000; ++i) {
                const std::size_t bytes = random() % (i % 20 == 0 ? 50000 : 500);
                if (i % 2 == 0) {
                    std::byte* const block = arena->try_acquire(bytes);
                    std::memset(block, pattern, bytes);
                    std::this_thread::yield();
                    for (std::size_t at = 0; at < bytes; ++at)
                        wrong += block[at] != static_cast<std::byte>(pattern);
                    arena->release(block);
                } else {
                    const SharedArena::Idle idle = arena->acquire(bytes);
                    if (arena->begin_use(idle.start, idle.ticket)) {
                        std::memset(idle.start, pattern, bytes);
                        std::this_thread::yield();
                        for (std::size_t at = 0; at < bytes; ++at)
                            wrong += idle.start[at] != static_cast<std::byte>(pattern);
                        arena->release(idle.start);
                    }
                    arena->drop(idle.start, idle.ticket);
                }
            }
        });
    }
    std::thread resetting{[&] {
        while (!stop) {
            arena->try_reset();
            std::this_thread::yield();
        }
    }};
    for (std::thread& thread : threads) thread.join();
    stop = true;
    resetting.join();
    CHECK_EQUAL(wrong.load(), 0);
    CHECK_EQUAL(arena->figures().blocks, 0U);
    arena->check();
}

TEST("threads make children and drop them while others list them") {
    const Handle parent = SharedArena::create();
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&, i] {
            for (int round = 0; round < 2000; ++round) {
                if (i == 0) {
                    for (const Handle& child : parent->children_since({})) child->uses_since({});
                } else {
                    const Handle child = SharedArena::create({}, pages::os_pages(), parent);
                    SharedArena::create({}, pages::os_pages(), child);
                }
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_EQUAL(parent->children_since({}).size(), 0U);
}

TEST("a family of 200,000 levels needs no deep stack to be searched or to end") {
    const Handle oldest = SharedArena::create(named("oldest"));
    Handle youngest = oldest;
    for (int i = 1; i < 200'000; ++i)
        youngest = SharedArena::create({}, pages::os_pages(), std::move(youngest));
    std::byte* const block = youngest->try_acquire(100);
    CHECK_EQUAL(oldest->uses_of_family_since(oldest->beginning()), 1U);
    SharedArena::Usage usage;
    oldest->add_usage_of_family(oldest->beginning(), usage);
    CHECK_EQUAL(usage.blocks, 1U);
    youngest->release(block);
    youngest = {};
    CHECK(oldest->children_since({}).empty());
}
