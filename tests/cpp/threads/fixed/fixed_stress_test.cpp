#include <array>
#include <vector>

#include "threads/fixed/shared_fixed_pool.hpp"
#include "threads/stress.hpp"
#include "threads/waiting/waiters.hpp"

using namespace numpool;
using namespace numpool::threads;
using Block = SharedFixedPool::Block;
using stress::Filled;

namespace {

constexpr std::size_t block_size = 64;

SharedFixedPoolOptions options_for(std::size_t blocks, std::size_t max_blocks) {
    SharedFixedPoolOptions options;
    options.block_size = block_size;
    options.blocks = blocks;
    options.max_blocks = max_blocks;
    return options;
}

struct Users : stress::FilledUsers<SharedFixedPool> {
    explicit Users(std::size_t blocks = 8, std::size_t max_blocks = 16)
        : FilledUsers{SharedFixedPool::create(options_for(blocks, max_blocks))} {}

    void step(std::mt19937& random) {
        const auto chance = static_cast<unsigned>(random());
        Block block = chance % 8 == 0
                          ? wait_for_block(*pool, std::chrono::microseconds{chance / 8 % 64})
                          : pool->try_acquire();
        if (!block) std::this_thread::yield();
        if (block && chance % 64 == 1) {
            pool->release_unused(block.start);
            block = {};
        }
        std::unique_ptr<Filled> mine;
        if (block) {
            mine = std::make_unique<Filled>(block.start, block_size,
                                            static_cast<unsigned char>(chance));
        }
        if (const auto other = exchange.swap(random, std::move(mine))) release(*other);
        if (chance % 128 == 2) {
            std::array<Block, 5> many{};
            if (pool->try_acquire_many(many)) {
                for (const Block& one : many) pool->release(one.start);
            }
        }
    }
};

}  // namespace

TEST("threads free each other's blocks while others wait, trim, read figures and check") {
    struct Bounds {
        std::size_t blocks, max_blocks;
    };
    for (const auto& [blocks, max_blocks] : {Bounds{4, 4}, Bounds{100, 100}, Bounds{1, 5000}}) {
        Users users{blocks, max_blocks};
        stress::use_amid_upkeep(users, stress::steps(200000));
        std::vector<Block> every;
        while (const Block block = users.pool->try_acquire()) every.push_back(block);
        CHECK_EQUAL(every.size(), max_blocks);
        for (const Block& block : every) users.pool->release(block.start);
    }
}

TEST("a pool may be closed while threads use it and wait for it") {
    stress::close_amid_use<Users>(stress::steps(400));
}

TEST("a pool whose last handle goes while threads release ends exactly once") {
    stress::drop_amid_release<Users>(stress::steps(1000));
}

TEST("a child forked while threads allocate, wait and trim can use the pool and exit") {
    Users users{200, 400};
    stress::Crew crew;
    stress::fork_amid_use(users, crew, [&] {
        for (int i = 0; i < 10; ++i) {
            users.release(Filled{users.pool->try_acquire().start, block_size, 7});
        }
    });
}
