#include "threads/slab/shared_slab_pool.hpp"
#include "threads/stress.hpp"

using namespace numpool;
using namespace numpool::threads;
using stress::Filled;

namespace {

SharedSlabPoolOptions options_for(std::size_t limit) {
    SharedSlabPoolOptions options;
    options.spans.limit = limit;
    options.spans.decay_milliseconds = 3;
    return options;
}

struct Users : stress::FilledUsers<SharedSlabPool> {
    explicit Users(std::size_t limit = pools::SpanBankOptions::unbounded)
        : FilledUsers{SharedSlabPool::create(options_for(limit))} {}

    void step(std::mt19937& random) {
        const std::size_t bytes = random() % (random() % 64 == 0 ? 300000 : 2000);
        std::unique_ptr<Filled> block;
        if (std::byte* const start = pool->try_acquire(bytes)) {
            block = std::make_unique<Filled>(start, bytes, static_cast<unsigned char>(random()));
        }
        block = exchange.swap(random, std::move(block));
        if (!block) return;
        if (random() % 16 == 0) shrink(*block);
        release(*block);
    }
    void shrink(Filled& block) {
        block.verify();
        const std::size_t bytes = block.bytes / 3;
        if (std::byte* const moved = pool->try_reallocate(block.start, bytes)) {
            block.start = moved;
            block.bytes = bytes;
        }
    }
};

}  // namespace

TEST("threads free each other's blocks while others trim, read figures and check") {
    for (const std::size_t limit : {pools::SpanBankOptions::unbounded, std::size_t{8} << 20}) {
        Users users{limit};
        stress::use_amid_upkeep(users, stress::steps(300000));
        CHECK(users.pool->figures().peak <= limit);
    }
}

TEST("a pool may be closed while threads use it") {
    stress::close_amid_use<Users>(stress::steps(400));
}

TEST("a pool whose last handle goes while threads release ends exactly once") {
    stress::drop_amid_release<Users>(stress::steps(1000));
}

TEST("a child forked while threads allocate and make pools can use them and exit") {
    Users users;
    stress::Crew crew;
    crew.add(1, stress::Crew::until_stopped, [](std::mt19937&) {
        const auto brief = SharedSlabPool::create();
        brief->try_release(brief->acquire(100000));
        std::this_thread::yield();
    });
    stress::fork_amid_use(users, crew, [&] {
        for (const std::size_t bytes : {10, 1000, 100000}) {
            users.release(Filled{users.pool->acquire(bytes), bytes, 1});
        }
        const auto another = SharedSlabPool::create();
        another->try_release(another->acquire(100));
    });
}
