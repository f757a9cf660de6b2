// Blocks of another pool with some in reserve, and callers that wait.
#include "base/error.hpp"
#include "live_blocks.hpp"
#include "pages/source/fake_pages.hpp"
#include "threads/reserve/shared_reserve_pool.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::threads;

void fuzz::use(Input& input) {
    pages::FakePages pages{pages::range_pages()};
    SharedSlabPoolOptions backing_options;
    backing_options.spans.limit = std::size_t{1} << 20;
    const auto backing = SharedSlabPool::create(backing_options, pages, pages);
    SharedReservePoolOptions options;
    options.bytes = input.size(18) + 1;
    options.reserve = 1 + input.byte() % 8;
    options.name = "fuzzed";
    PoolHandle<SharedReservePool> pool;
    try {
        pool = SharedReservePool::create(options, *backing, *backing);
    } catch (const Exhausted&) {
        REQUIRE(backing->figures().blocks == 0);
        return;
    }
    LiveBlocks live;
    std::vector<std::shared_ptr<ThreadWaiter>> waiters;
    const auto collect = [&](std::size_t index) {
        const auto block = pool->collect(*waiters[index]);
        waiters.erase(waiters.begin() + static_cast<std::ptrdiff_t>(index));
        if (block) live.add(block.start, options.bytes);
        return static_cast<bool>(block);
    };
    while (input.more()) {
        const std::uint8_t choice = input.byte();
        if (choice < 90) {
            const auto block = pool->try_acquire();
            if (block) live.add(block.start, options.bytes);
            REQUIRE(block || !pool->refuse().empty());
        } else if (choice < 120 && waiters.size() < 8) {
            const auto waiter = std::make_shared<ThreadWaiter>();
            const auto block = pool->acquire_or_wait(waiter);
            if (block) {
                live.add(block.start, options.bytes);
            } else {
                waiters.push_back(waiter);
            }
        } else if (choice < 190 && !live.empty()) {
            pool->release(live.remove(live.any(input)).start);
        } else if (choice < 210 && !waiters.empty()) {
            const std::size_t index = input.below(waiters.size());
            const bool granted = pool->state_of(*waiters[index]) == Waiter::State::granted;
            REQUIRE(collect(index) == granted);
        } else if (choice < 225) {
            pool->resize(1 + input.byte() % 12);
        } else if (choice < 235) {
            pages.fail_after(input.below(4), input.byte());
        } else if (choice < 240) {
            pages.stop_failing();
        } else if (choice < 245) {
            pool->look_elsewhere();
        } else {
            pool->check();
            backing->check();
        }
    }
    pool->check();
    pages.stop_failing();
    while (!waiters.empty()) collect(0);
    while (!live.empty()) pool->release(live.remove(0).start);
    pool->check();
    pool->close();
    REQUIRE(backing->figures().blocks == 0);
    backing->check();
}
