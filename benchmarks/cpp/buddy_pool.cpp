/// A buddy pool beside what else hands out blocks of any size: acquire and release in a pool that
/// is half full, and growing in place. Contenders take turns; medians of many rounds.

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory_resource>
#include <string>
#include <vector>

#include "measure.hpp"
#include "threads/shared_buddy_pool.hpp"
#include "threads/shared_slab_pool.hpp"

using namespace numpool;
using benchmark::use;

namespace {

constexpr std::size_t capacity = std::size_t{256} << 20;
constexpr std::size_t live = 2000;
constexpr std::size_t operations = 20000;
constexpr int rounds = 15;

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
        for (std::size_t i = 0; i < operations; ++i) {
            const std::size_t at = random_.below(live);
            release_(blocks_[at], sizes_[at]);
            renew(at);
        }
    }

  private:
    void renew(std::size_t at) {
        sizes_[at] = any_size(random_);
        use(blocks_[at] = acquire_(sizes_[at]));
        if (blocks_[at] == nullptr) std::abort();
    }

    Acquire acquire_;
    Release release_;
    std::vector<void*> blocks_;
    std::vector<std::size_t> sizes_;
    benchmark::Random random_{1};
};

struct Contender {
    std::string name;
    std::function<void()> run;
    std::vector<double> nanoseconds;
};

template <class Acquire, class Release>
Contender churn(std::string name, Acquire acquire, Release release) {
    return {std::move(name), Churn{acquire, release}, {}};
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
    std::vector<Contender> contenders;
    contenders.push_back(churn(
        "BuddyPool", [&](std::size_t bytes) { return buddy.acquire(bytes).start; },
        [&](void* block, std::size_t) { buddy.release(static_cast<std::byte*>(block)); }));
    contenders.push_back(churn(
        "SharedBuddyPool, locked", [&](std::size_t bytes) { return shared->try_acquire(bytes); },
        [&](void* block, std::size_t bytes) { shared->try_release(block, bytes); }));
    contenders.push_back(churn(
        "SharedSlabPool", [&](std::size_t bytes) { return slabs->try_acquire(bytes); },
        [&](void* block, std::size_t bytes) { slabs->try_release(block, bytes); }));
    contenders.push_back(churn(
        "pmr::unsynchronized_pool_resource",
        [&](std::size_t bytes) { return pmr.allocate(bytes, 16); },
        [&](void* block, std::size_t bytes) { pmr.deallocate(block, bytes, 16); }));
    contenders.push_back(churn(
        "malloc and free", [](std::size_t bytes) { return std::malloc(bytes); },
        [](void* block, std::size_t) { std::free(block); }));

    for (int round = -1; round < rounds; ++round) {
        for (Contender& one : contenders) {
            const double start = benchmark::nanoseconds_now();
            one.run();
            const double time = benchmark::nanoseconds_now() - start;
            if (round >= 0) one.nanoseconds.push_back(time / operations);
        }
    }
    std::printf("%-45s %8s\n", "release + acquire, 2000 live of 64 B-64 KiB", "ns");
    for (Contender& one : contenders)
        std::printf("  %-43s %8.1f\n", one.name.c_str(), benchmark::median(one.nanoseconds));
    std::printf(
        "fragmentation of the buddy pool: %.2f inside of blocks, %.4f outside\n",
        1 - static_cast<double>(buddy.total_requested()) / static_cast<double>(buddy.in_use()),
        shared->fragmentation());
    return 0;
}
