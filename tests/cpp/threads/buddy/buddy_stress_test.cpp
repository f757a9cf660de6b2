#include <algorithm>

#include "threads/buddy/shared_buddy_pool.hpp"
#include "threads/stress.hpp"

using namespace numpool;
using namespace numpool::threads;
using stress::Filled;

namespace {

const SharedBuddyPoolOptions options{.capacity = std::size_t{1} << 20, .name = {}};

struct Users : stress::FilledUsers<SharedBuddyPool> {
    Users() : FilledUsers{SharedBuddyPool::create(options)} {}

    void step(std::mt19937& random) {
        const std::size_t bytes = random() % (std::size_t{1} << random() % 17);
        auto block = exchange.swap(random, random() % 4 == 0 ? zeroed(bytes) : some(bytes, random));
        if (!block) return;
        block->verify();
        CHECK(pool->owns(block->start));
        CHECK(pool->usable_size(block->start) >= block->bytes);
        if (random() % 8 == 0) resize(*block, random() % 20000);
        release(*block);
        if (random() % 512 == 0) survey();
    }
    std::unique_ptr<Filled> some(std::size_t bytes, std::mt19937& random) {
        std::byte* const block = pool->try_acquire(bytes);
        if (block == nullptr) return {};
        return std::make_unique<Filled>(block, bytes, static_cast<unsigned char>(random()));
    }
    std::unique_ptr<Filled> zeroed(std::size_t bytes) {
        std::byte* const block = pool->try_acquire_zeroed(bytes);
        if (block == nullptr) return {};
        CHECK(std::all_of(block, block + bytes, [](std::byte one) { return one == std::byte{}; }));
        return std::make_unique<Filled>(block, bytes, 0);
    }
    void resize(Filled& block, std::size_t bytes) {
        std::byte* const moved = pool->try_reallocate(block.start, bytes);
        if (moved == nullptr) return;
        block.start = moved;
        block.bytes = std::min(block.bytes, bytes);
    }
    void survey() const {
        std::size_t bytes = 0;
        for (const OrderFigures& order : pool->order_figures()) {
            bytes += (order.free + order.live) * order.block_size;
        }
        CHECK(bytes == options.capacity || pool->closed());
        CHECK(pool->fragmentation() < 1);
    }
};

}  // namespace

TEST("threads free and resize each other's blocks while others trim, read figures and check") {
    Users users;
    stress::use_amid_upkeep(users, stress::steps(200000));
    CHECK_EQUAL(users.pool->order_figures().back().free, 1U);
}

TEST("a pool may be closed while threads use it") {
    stress::close_amid_use<Users>(stress::steps(400));
}

TEST("a pool whose last handle goes while threads release ends exactly once") {
    stress::drop_amid_release<Users>(stress::steps(1000));
}

TEST("a child forked while threads allocate can use the pool and exit") {
    Users users;
    stress::Crew crew;
    stress::fork_amid_use(users, crew, [&] {
        // In the child, the small blocks of the parent's threads stay live for ever.
        if (std::byte* const block = users.pool->try_acquire(100)) users.release({block, 100, 7});
    });
}
