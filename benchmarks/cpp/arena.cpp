/// What a block of a region costs, and the end of all of them, beside what else a program would
/// take: std::pmr's monotonic resource, which knows nothing of its blocks, and allocators that free
/// them one by one.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory_resource>
#include <vector>

#include "measure.hpp"
#include "threads/arena/shared_arena.hpp"
#include "threads/lifecycle/pool_pages.hpp"
#include "threads/slab/shared_slab_pool.hpp"
#include "turns.hpp"

using namespace numpool;
using turns::use;

namespace {

/// Sizes of a request's blocks: mostly small.
std::vector<std::size_t> mixed_sizes(std::size_t count) {
    benchmark::Random random{1};
    std::vector<std::size_t> sizes;
    for (std::size_t i = 0; i < count; ++i)
        sizes.push_back(16 + random.below(std::size_t{16} << random.below(8)));
    return sizes;
}

/// The limit: a pointer that moves, in memory that is there, with nothing known of any block.
struct Bump {
    std::vector<std::byte> memory = std::vector<std::byte>(std::size_t{1} << 20);
    std::size_t top = 0;

    void* acquire(std::size_t bytes) {
        void* const block = memory.data() + top;
        top += round_up(bytes, 16);
        return block;
    }
};

void blocks_and_their_end() {
    const std::vector<std::size_t> sizes = mixed_sizes(1000);
    std::vector<void*> blocks(sizes.size());
    const auto fill = [&](auto acquire) {
        for (std::size_t i = 0; i < sizes.size(); ++i) use(blocks[i] = acquire(sizes[i]));
    };
    Bump bump;
    std::pmr::monotonic_buffer_resource monotonic{1 << 20};
    std::vector<std::byte> room(std::size_t{1} << 20);
    std::pmr::monotonic_buffer_resource in_room{room.data(), room.size()};
    std::pmr::unsynchronized_pool_resource pools;
    pools::Arena arena{1 << 20};
    pools::Arena early{1 << 20};
    threads::SharedArenaOptions options;
    options.chunk_size = 1 << 20;
    const auto shared = threads::SharedArena::create(options);
    const auto slabs = threads::SharedSlabPool::create();
    turns::Contest contest{"1000 blocks of 16-2048 bytes and their end", 20};
    contest.add("a moving pointer, inline (the limit)", [&] {
        fill([&](std::size_t bytes) { return bump.acquire(bytes); });
        bump.top = 0;
    });
    contest.add("Arena, inline, ended by reset", [&] {
        fill([&](std::size_t bytes) { return arena.acquire_idle(bytes).start; });
        arena.reset();
    });
    contest.add("Arena, inline, each block released too", [&] {
        fill([&](std::size_t bytes) { return early.acquire(bytes); });
        for (void* const block : blocks) early.end_use(static_cast<std::byte*>(block));
    });
    contest.add("SharedArena, locked, each block released too", [&] {
        fill([&](std::size_t bytes) { return shared->try_acquire(bytes); });
        for (void* const block : blocks) shared->try_release(block, 0);
    });
    contest.add("pmr::monotonic_buffer_resource in a buffer", [&] {
        fill([&](std::size_t bytes) { return in_room.allocate(bytes, 16); });
        in_room.release();
    });
    contest.add("pmr::monotonic_buffer_resource", [&] {
        fill([&](std::size_t bytes) { return monotonic.allocate(bytes, 16); });
        monotonic.release();
    });
    contest.add("pmr::unsynchronized_pool_resource, one by one", [&] {
        fill([&](std::size_t bytes) { return pools.allocate(bytes, 16); });
        for (std::size_t i = 0; i < sizes.size(); ++i) pools.deallocate(blocks[i], sizes[i], 16);
    });
    contest.add("SharedSlabPool, one by one", [&] {
        fill([&](std::size_t bytes) { return slabs->try_acquire(bytes); });
        for (std::size_t i = 0; i < sizes.size(); ++i) slabs->try_release(blocks[i], sizes[i]);
    });
    contest.add("malloc and free", [&] {
        fill([&](std::size_t bytes) { return std::malloc(bytes); });
        for (void* const block : blocks) std::free(block);
    });
    contest.run();
}

/// Where all are equal, their size is known to the compiler.
void equal_blocks_and_their_end() {
    constexpr std::size_t count = 1000;
    Bump bump;
    pools::Arena arena{1 << 20};
    std::vector<std::byte> room(std::size_t{1} << 20);
    std::pmr::monotonic_buffer_resource in_room{room.data(), room.size()};
    std::vector<void*> blocks(count);
    turns::Contest contest{"1000 blocks of 64 bytes and their end", 20};
    contest.add("a moving pointer, inline (the limit)", [&] {
        for (std::size_t i = 0; i < count; ++i) use(bump.acquire(64));
        bump.top = 0;
    });
    contest.add("Arena, inline, ended by reset", [&] {
        for (std::size_t i = 0; i < count; ++i) use(arena.acquire_idle(64).start);
        arena.reset();
    });
    contest.add("pmr::monotonic_buffer_resource in a buffer", [&] {
        for (std::size_t i = 0; i < count; ++i) use(in_room.allocate(64, 16));
        in_room.release();
    });
    contest.add("malloc and free", [&] {
        for (void*& block : blocks) use(block = std::malloc(64));
        for (void* const block : blocks) std::free(block);
    });
    contest.run();
}

/// A region made, used and ended for each request.
void requests() {
    const std::vector<std::size_t> sizes = mixed_sizes(200);
    const auto slabs = threads::SharedSlabPool::create();
    std::vector<void*> blocks(sizes.size());
    turns::Contest contest{"a region for a request of 200 blocks", 50};
    contest.add("SharedArena on a SlabPool, as Python uses it", [&] {
        const auto arena = threads::SharedArena::create({}, threads::draw_on(*slabs));
        for (const std::size_t bytes : sizes) {
            const auto idle = arena->acquire(bytes);
            use(idle.start);
            arena->drop(idle.start, idle.ticket);
        }
    });
    contest.add("Arena on a SlabPool, ended as a whole", [&] {
        const auto source = threads::draw_on(*slabs);
        pools::Arena arena{64 << 10, *source};
        for (const std::size_t bytes : sizes) use(arena.acquire_idle(bytes).start);
    });
    contest.add("pmr::monotonic_buffer_resource", [&] {
        std::pmr::monotonic_buffer_resource arena{64 << 10};
        for (const std::size_t bytes : sizes) use(arena.allocate(bytes, 16));
    });
    contest.add("malloc and free, no region", [&] {
        for (std::size_t at = 0; at < sizes.size(); ++at) use(blocks[at] = std::malloc(sizes[at]));
        for (void* const block : blocks) std::free(block);
    });
    contest.run();
}

/// The end of so many blocks, timed by itself; with cold caches as after a million blocks, which
/// leave nothing else in them, however few there were.
void the_end_of(std::size_t count, bool cold) {
    constexpr int rounds = 31;
    std::vector<double> times[3];
    const auto slabs = threads::SharedSlabPool::create();
    const auto source = threads::draw_on(*slabs);
    pools::Arena arena{64 << 10, *source};
    std::pmr::monotonic_buffer_resource monotonic;
    std::vector<void*> blocks(count);
    std::vector<std::byte> other(cold ? std::size_t{80} << 20 : 0);
    const auto timed = [&](int contender, auto work) {
        std::fill(other.begin(), other.end(), static_cast<std::byte>(contender));
        use(other.data());
        const double start = benchmark::nanoseconds_now();
        work();
        times[contender].push_back(benchmark::nanoseconds_now() - start);
    };
    for (int round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < count; ++i) use(arena.acquire_idle(64).start);
        timed(0, [&] { arena.reset(); });
        for (std::size_t i = 0; i < count; ++i) use(monotonic.allocate(64, 16));
        timed(1, [&] { monotonic.release(); });
        for (std::size_t i = 0; i < count; ++i) use(blocks[i] = std::malloc(64));
        timed(2, [&] {
            for (void* const block : blocks) std::free(block);
        });
    }
    std::printf(
        "the end of %-8zu blocks, %s: Arena::reset %7.0f ns, pmr release %9.0f, free %9.0f\n",
        count, cold ? "cold" : "warm", benchmark::median(times[0]), benchmark::median(times[1]),
        benchmark::median(times[2]));
}

}  // namespace

int main() {
    blocks_and_their_end();
    equal_blocks_and_their_end();
    requests();
    for (const std::size_t count : {1, 1000, 1'000'000}) {
        the_end_of(count, false);
        the_end_of(count, true);
    }
    return 0;
}
