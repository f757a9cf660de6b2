#include <array>

#include "threads/buddy/shared_buddy_pool.hpp"
#include "threads/lifecycle/pool_pages.hpp"
#include "threads/reserve/moody_pool.hpp"
#include "threads/reserve/shared_reserve_pool.hpp"
#include "threads/slab/shared_slab_pool.hpp"
#include "threads/stress.hpp"
#include "threads/waiting/waiters.hpp"

using namespace numpool;
using namespace numpool::threads;
using stress::Filled;

namespace {

constexpr std::size_t block_size = 64;

/// The first base, since the pool of the second needs it to its end.
struct Backing {
    MoodyPool moody;
};

struct Users : Backing, stress::FilledUsers<SharedReservePool> {
    Users() : Users{moody, moody} {}
    Users(Pool& backing, ByteSource& source)
        : FilledUsers{SharedReservePool::create({.bytes = block_size, .reserve = 4, .name = {}},
                                                backing, source)} {}

    void step(std::mt19937& random) {
        const auto chance = static_cast<unsigned>(random());
        constexpr std::array moods{0U, 50U, 90U, 100U};
        if (chance % 256 == 3) moody.failing_percent = moods[chance / 256 % moods.size()];
        if (chance % 128 == 2) pool->resize(1 + chance / 128 % 6);
        if (chance % 64 == 1) pool->look_elsewhere();
        const auto block = chance % 4 == 0
                               ? wait_for_block(*pool, std::chrono::microseconds{chance / 8 % 64})
                               : pool->try_acquire();
        std::unique_ptr<Filled> mine;
        if (block) {
            mine = std::make_unique<Filled>(block.start, block_size,
                                            static_cast<unsigned char>(chance));
        }
        if (const auto other = exchange.swap(random, std::move(mine))) release(*other);
    }
};

}  // namespace

TEST("threads free each other's blocks while others wait and resize and the backing pool fails") {
    Users users;
    // On a busy machine threads may run so rarely that none has to wait.
    for (int round = 0; round < 10 && users.pool->figures().waits == 0; ++round) {
        stress::use_amid_upkeep(users, stress::steps(200000));
        CHECK_EQUAL(users.moody.given(), users.pool->at_hand());
    }
    CHECK(users.pool->figures().waits != 0);
    CHECK(users.pool->figures().hits != 0);
}

TEST("a pool may be closed while threads use it, wait for it and resize it") {
    stress::close_amid_use<Users>(stress::steps(400));
}

TEST("a pool whose last handle goes while threads release ends exactly once") {
    stress::drop_amid_release<Users>(stress::steps(1000));
}

TEST("a child forked while threads wait and draw on pools can use them and exit") {
    const auto slabs = SharedSlabPool::create();
    SharedBuddyPoolOptions options;
    options.capacity = 64 << 10;
    const auto region = SharedBuddyPool::create(options, draw_on(*slabs, 4096));
    Users users{*region, *region};
    stress::Crew crew;
    crew.add(1, stress::Crew::until_stopped, [&](std::mt19937&) {
        // A closing region takes the lock of the pool that it draws on, under its own lock.
        const auto brief = SharedBuddyPool::create(options, draw_on(*slabs, 4096));
        brief->try_release(brief->acquire(100), 100);
        brief->close();
        std::this_thread::yield();
    });
    stress::fork_amid_use(users, crew, [&] {
        if (const auto block = users.pool->try_acquire()) {
            users.release(Filled{block.start, block_size, 7});
        }
        users.pool->resize(2);
        const auto another = SharedBuddyPool::create(options, draw_on(*slabs, 4096));
        another->try_release(another->acquire(100), 100);
    });
}
