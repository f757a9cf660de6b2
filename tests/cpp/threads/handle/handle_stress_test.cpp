#include <array>
#include <vector>

#include "threads/handle/shared_handle_pool.hpp"
#include "threads/stress.hpp"

using namespace numpool;
using namespace numpool::threads;
using pools::Handle;
using stress::Filled;

namespace {

/// A handle that one thread may free while others look it up.
struct Owned {
    Handle handle = 0;
    Filled block;
};

unsigned char pattern_of(Handle handle) {
    return static_cast<unsigned char>(handle ^ handle >> 8 ^ handle >> 16);
}

struct Users {
    Users() {
        SharedHandlePoolOptions options;
        options.sizes = {{16, 40}, {1000, 10}};
        handle = SharedHandlePool::create(options);
        pool = handle.get();
    }

    void step(std::mt19937& random) {
        auto one = acquire(random() % (random() % 4 == 0 ? 1000 : 16));
        if (one) seen = one->handle;
        one = exchange.swap(random, std::move(one));
        if (one) free(*one);
        look_up(seen);
        refuse(stale);
        if (random() % 512 == 0) survey();
    }
    std::unique_ptr<Owned> acquire(std::size_t bytes) {
        try {
            const Handle fresh = pool->acquire(bytes);
            const auto block = pool->hold(fresh);
            CHECK_EQUAL(block.bytes, bytes);
            auto one = std::make_unique<Owned>(
                Owned{fresh, {block.start, block.bytes, pattern_of(fresh)}});
            pool->release(block.start);
            return one;
        } catch (const Exhausted&) {
            return {};
        }
    }
    void free(const Owned& one) {
        const auto block = pool->hold(one.handle);
        CHECK_EQUAL(block.start, one.block.start);
        one.block.verify();
        CHECK(pool->free(one.handle) != 0);
        pool->release(block.start);
        // Another thread may hold the block at this moment.
        while (pool->free(one.handle) != 0) std::this_thread::yield();
        stale = one.handle;
    }
    /// A handle, live or stale, leads to its own block or nowhere.
    void look_up(Handle any) const {
        try {
            const auto block = pool->hold(any);
            CHECK_EQUAL(pool->find(any).start, block.start);
            for (std::size_t i = 0; i < block.bytes; ++i) {
                CHECK(block.start[i] == static_cast<std::byte>(pattern_of(any)));
            }
            pool->release(block.start);
        } catch (const Stale&) {
        }
    }
    void refuse(Handle freed) const {
        CHECK(!pool->find(freed));
        CHECK_THROWS(Stale, " is ", pool->hold(freed));
        CHECK_THROWS(Stale, " is ", pool->free(freed));
    }
    void survey() const {
        CHECK(pool->live_handles().size() <= 50);
        CHECK(pool->live_blocks() <= 50);
        CHECK_EQUAL(pool->retired_blocks(), 0U);
        for (const auto& size : pool->size_figures()) CHECK(size.in_use <= size.committed);
    }
    void release_all() {
        exchange.drain([&](const Owned& one) { free(one); });
    }

    PoolHandle<SharedHandlePool> handle;
    SharedHandlePool* pool = nullptr;
    stress::Exchange<Owned> exchange;
    /// A handle that was live when this thread got it, and one that is stale.
    std::atomic<Handle> seen = 0;
    std::atomic<Handle> stale = 0;
};

}  // namespace

TEST("threads free each other's handles, look up live and stale ones, trim and check") {
    Users users;
    stress::use_amid_upkeep(users, stress::steps(200000));
    for (int i = 0; i < 50; ++i) CHECK(users.pool->acquire(8) != 0);
    CHECK_THROWS(Exhausted, "are in use", users.pool->acquire(8));
}

TEST("a pool may be closed while threads use it") {
    stress::close_amid_use<Users>(stress::steps(400));
}

TEST("a pool whose last handle goes while threads end their holds ends exactly once") {
    for (int round = 0; round < stress::steps(1000); ++round) {
        Users users;
        std::array<std::vector<std::byte*>, 2> held;
        for (std::size_t i = 0; i < 50; ++i) {
            held[i % 2].push_back(users.pool->hold(users.pool->acquire(8)).start);
        }
        stress::Crew crew;
        for (const auto& some : held) {
            crew.add(1, 1, [&](std::mt19937&) {
                for (std::byte* const block : some) users.pool->release(block);
            });
        }
        users.handle = {};
        crew.join();
    }
}

TEST("a child forked while threads allocate can use the pool and exit") {
    Users users;
    stress::Crew crew;
    stress::fork_amid_use(users, crew, [&] {
        if (const auto one = users.acquire(8)) users.free(*one);
        SharedHandlePoolOptions options;
        options.sizes = {{8, 1}};
        const auto another = SharedHandlePool::create(options);
        CHECK_EQUAL(another->free(another->acquire(1)), 0U);
    });
}
