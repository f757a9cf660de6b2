#include "numpool/pools.hpp"

#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

#include "testing.hpp"

using namespace numpool;

namespace {

bool aligned(const void* block, std::size_t align) {
    return reinterpret_cast<std::uintptr_t>(block) % align == 0;
}

void give_and_take(Pool pool) {
    void* const block = pool.acquire(4096);
    CHECK(pool.owns(block));
    CHECK(pool.usable_size(block) >= 4096);
    std::memset(block, 1, 4096);
    CHECK_EQUAL(pool.figures().blocks, 1u);
    pool.release(block, 4096);
    CHECK_EQUAL(pool.figures().blocks, 0u);
    pool.check();
}

}  // namespace

TEST("each pool gives blocks by its handle and takes them back") {
    give_and_take(SlabPool{});
    give_and_take(FixedPool{{.block_size = 4096, .blocks = 2}});
    give_and_take(BuddyPool{{.capacity = 1 << 20}});
    give_and_take(Arena{});
}

TEST("a pool's limit bounds the pools that draw on it") {
    const SlabPool slabs{{.limit = 1 << 20, .name = "bounded"}};
    give_and_take(FixedPool{{.block_size = 4096, .blocks = 4}, slabs});
    give_and_take(BuddyPool{{.capacity = 1 << 17}, slabs});
    Arena arena{{}, slabs};
    give_and_take(arena);
    CHECK_THROWS(Exhausted, "bounded", arena.acquire(2 << 20));
    const Arena closed = arena;
    CHECK_THROWS(BadArgument, "can't be a source", Arena({}, closed));
}

TEST("a refused request says what was asked and what there was") {
    SlabPool pool{{.limit = 1 << 20, .name = "small"}};
    CHECK_THROWS(Exhausted, "SlabPool 'small': 2097152 bytes", pool.acquire(2 << 20));
    Pool any = pool;
    CHECK_THROWS(Exhausted, "SlabPool 'small': 2097152 bytes", any.acquire(2 << 20));
    CHECK(any.try_acquire(2 << 20) == nullptr);
    any.close();
    CHECK(pool.closed());
    CHECK_THROWS(Closed, "small", pool.acquire(1));
    CHECK_THROWS(Closed, "small", any.acquire(1));
}

TEST("a negative decay time is refused") {
    CHECK_THROWS(BadArgument, "decay is negative",
                 SlabPool({.decay = std::chrono::milliseconds{-1}}));
}

TEST("a block outlives the last handle of its pool") {
    void* block = nullptr;
    std::optional<FixedPool> pool{FixedOptions{.block_size = 100, .blocks = 1}};
    block = pool->acquire();
    FixedPool other = *pool;
    pool.reset();
    CHECK(other.try_acquire() == nullptr);
    FixedPool moved = std::move(other);
    CHECK(moved == Pool{moved});
    std::memset(block, 1, 100);
    moved.release(block);
    CHECK_EQUAL(moved.figures().blocks, 0u);
}

TEST("a reallocated block keeps its contents") {
    SlabPool pool;
    auto* const block = static_cast<char*>(pool.acquire(100));
    std::memset(block, 7, 100);
    auto* const grown = static_cast<char*>(pool.try_reallocate(block, 100'000));
    CHECK(grown[0] == 7 && grown[99] == 7);
    pool.release(grown);
    auto* const zeroed = static_cast<char*>(pool.try_acquire_zeroed(100));
    CHECK(zeroed[0] == 0 && zeroed[99] == 0);
    pool.release(zeroed, 100);
}

TEST("a request waits until a block is released, or the time is over") {
    using namespace std::chrono_literals;
    FixedPool pool{{.block_size = 64, .blocks = 1, .name = "one"}};
    void* const block = pool.acquire();
    CHECK_THROWS(Exhausted, "FixedPool 'one'", pool.acquire());
    CHECK_THROWS(Exhausted, "FixedPool 'one'", pool.acquire_for(1ms));
    std::thread other{[&] {
        std::this_thread::sleep_for(20ms);
        pool.release(block);
    }};
    CHECK(pool.acquire_for(20s) == block);
    other.join();
    std::thread closer{[&] {
        std::this_thread::sleep_for(20ms);
        pool.close();
    }};
    CHECK_THROWS(Closed, "was closed while this request waited", pool.acquire_for(20s));
    closer.join();
    pool.release(block);
}

TEST("an arena begins anew once no block is live") {
    Arena arena{{.name = "frame"}};
    void* const block = arena.acquire(100);
    CHECK_THROWS(InUse, "Arena 'frame' has live blocks", arena.reset());
    arena.release(block);
    arena.reset();
    CHECK_EQUAL(arena.figures().blocks, 0u);
}

TEST("blocks for containers have any alignment, in any pool") {
    Pool pools[] = {SlabPool{}, FixedPool{{.block_size = 1 << 16, .blocks = 2}},
                    BuddyPool{{.capacity = 1 << 22}}, Arena{}};
    for (Pool& pool : pools) {
        for (std::size_t align = 1; align <= 8192; align *= 2) {
            for (const std::size_t bytes : {1, 24, 64, 1000, 40'000}) {
                void* const block = pool.allocate(bytes, align);
                CHECK(aligned(block, align));
                std::memset(block, 1, bytes);
                pool.deallocate(block, bytes, align);
            }
        }
        CHECK_EQUAL(pool.figures().blocks, 0u);
        pool.check();
    }
}

TEST("a container's request that is refused is a bad_alloc with the pool's words") {
    SlabPool pool{{.limit = 1 << 20, .name = "small"}};
    CHECK_THROWS(std::bad_alloc, "SlabPool 'small'", pool.allocate(2 << 20, 8));
    CHECK_THROWS(std::bad_alloc, "", pool.allocate(~std::size_t{0}, 4096));
}
