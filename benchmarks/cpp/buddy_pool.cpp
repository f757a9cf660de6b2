/// A buddy pool beside what else hands out blocks of any size: acquire and release in a pool that
/// is lightly filled.

#include <cstdio>
#include <cstdlib>
#include <memory_resource>
#include <vector>

#include "measure.hpp"
#include "threads/buddy/shared_buddy_pool.hpp"
#include "threads/slab/shared_slab_pool.hpp"
#include "turns.hpp"

using namespace numpool;
namespace {

constexpr std::size_t capacity = std::size_t{256} << 20;
constexpr std::size_t live = 2000;
constexpr std::size_t operations = 5000;

/// 64 bytes to 64 KiB, each power of two about as often.
std::size_t any_size(benchmark::Random& random) {
    const std::size_t most = std::size_t{128} << random.below(10);
    return most / 2 + random.below(most / 2) + 1;
}

/// Blocks come and go at random; so many live at a time.
template <class Acquire, class Release>
class Churn {
  public:
    Churn(Acquire acquire, Release release)
        : acquire_{acquire}, release_{release}, blocks_(live), sizes_(live) {
        for (std::size_t i = 0; i < live; ++i) renew(i);
    }

    void operator()() {
        const std::size_t at = random_.below(live);
        release_(blocks_[at], sizes_[at]);
        renew(at);
    }

  private:
    void renew(std::size_t at) {
        sizes_[at] = any_size(random_);
        turns::use(blocks_[at] = acquire_(sizes_[at]));
        if (blocks_[at] == nullptr) std::abort();
    }

    Acquire acquire_;
    Release release_;
    std::vector<void*> blocks_;
    std::vector<std::size_t> sizes_;
    benchmark::Random random_{1};
};

template <class Acquire, class Release>
void add(turns::Contest& contest, const char* name, Acquire acquire, Release release) {
    contest.add(name, [churn = Churn{acquire, release}]() mutable { churn(); });
}

}  // namespace

int main() {
    pools::BuddyPool buddy{capacity, 64};
    threads::SharedBuddyPoolOptions options;
    options.capacity = capacity;
    options.min_block = 64;
    const auto shared = threads::SharedBuddyPool::create(options);
    const auto slabs = threads::SharedSlabPool::create();
    std::pmr::unsynchronized_pool_resource pmr;
    turns::Contest contest{"release + acquire, 2000 live of 64 B-64 KiB", operations};
    add(
        contest, "BuddyPool", [&](std::size_t bytes) { return buddy.acquire(bytes).start; },
        [&](void* block, std::size_t) { buddy.release(static_cast<std::byte*>(block)); });
    add(
        contest, "SharedBuddyPool, locked",
        [&](std::size_t bytes) { return shared->try_acquire(bytes); },
        [&](void* block, std::size_t bytes) { shared->try_release(block, bytes); });
    add(
        contest, "SharedSlabPool", [&](std::size_t bytes) { return slabs->try_acquire(bytes); },
        [&](void* block, std::size_t bytes) { slabs->try_release(block, bytes); });
    add(
        contest, "pmr::unsynchronized_pool_resource",
        [&](std::size_t bytes) { return pmr.allocate(bytes, 16); },
        [&](void* block, std::size_t bytes) { pmr.deallocate(block, bytes, 16); });
    add(
        contest, "malloc and free", [](std::size_t bytes) { return std::malloc(bytes); },
        [](void* block, std::size_t) { std::free(block); });
    contest.run();
    std::printf("of the buddy pool's bytes in use %.0f%% were not asked for\n",
                100 - 100 * static_cast<double>(buddy.total_requested()) /
                          static_cast<double>(buddy.in_use()));
    return 0;
}
