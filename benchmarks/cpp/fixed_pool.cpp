/// Acquire and release of one block, again and again: what a fixed pool's checks cost beside a bare
/// free list that has none. Contenders take turns; medians of many short rounds.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory_resource>
#include <string>
#include <vector>

#include "pools/fixed_pool.hpp"
#include "threads/shared_fixed_pool.hpp"

#if __has_include(<boost/pool/pool.hpp>)
#include <boost/pool/pool.hpp>
#define NUMPOOL_HAS_BOOST 1
#endif

namespace {

constexpr std::size_t block_size = 64;
constexpr std::size_t pairs = 200'000;
constexpr int rounds = 41;

void use(void* block) {
    asm volatile("" : : "g"(block) : "memory");
}

/// The limit: links in the blocks, no checks, nothing to run out of.
class BareFreeList {
  public:
    explicit BareFreeList(std::size_t blocks) : memory_(blocks * block_size) {
        for (std::size_t i = blocks; i-- > 0;) release(memory_.data() + i * block_size);
    }
    void* acquire() {
        void* const block = head_;
        head_ = *static_cast<void**>(block);
        return block;
    }
    void release(void* block) {
        *static_cast<void**>(block) = head_;
        head_ = block;
    }

  private:
    std::vector<std::byte> memory_;
    void* head_ = nullptr;
};

struct Contender {
    std::string name;
    std::function<void()> run;
    std::vector<double> nanoseconds;
};

template <class Pair>
Contender contender(std::string name, Pair pair) {
    return {std::move(name),
            [pair]() mutable {
                for (std::size_t i = 0; i < pairs; ++i) pair();
            },
            {}};
}

numpool::threads::SharedFixedPoolOptions options() {
    numpool::threads::SharedFixedPoolOptions options;
    options.block_size = block_size;
    options.blocks = options.max_blocks = 1000;
    options.ledger = true;
    return options;
}

}  // namespace

int main() {
    BareFreeList bare{1000};
    numpool::pools::FixedPool pool{options()};
    const auto shared = numpool::threads::SharedFixedPool::create(options());
    std::pmr::unsynchronized_pool_resource pmr;
    std::vector<Contender> contenders;
    contenders.push_back(contender("bare free list, inline (the limit)", [&] {
        void* const block = bare.acquire();
        use(block);
        bare.release(block);
    }));
    contenders.push_back(contender("FixedPool, inline, range and stride checked", [&] {
        std::byte* const block = pool.acquire().start;
        use(block);
        pool.release(block);
    }));
    contenders.push_back(contender("FixedPool with ledger (finds double frees)", [&] {
        std::byte* const block = pool.acquire_recorded().start;
        use(block);
        pool.release_recorded(block);
    }));
    contenders.push_back(contender("SharedFixedPool (any thread, waiting)", [&] {
        std::byte* const block = shared->try_acquire().start;
        use(block);
        shared->release(block);
    }));
#ifdef NUMPOOL_HAS_BOOST
    boost::pool<> boosted{block_size};
    contenders.push_back(contender("boost::pool", [&] {
        void* const block = boosted.malloc();
        use(block);
        boosted.free(block);
    }));
#else
    std::puts("boost::pool is missing: its headers are not installed");
#endif
    contenders.push_back(contender("std::pmr::unsynchronized_pool_resource", [&] {
        void* const block = pmr.allocate(block_size, 16);
        use(block);
        pmr.deallocate(block, block_size, 16);
    }));
    contenders.push_back(contender("malloc and free", [&] {
        void* const block = std::malloc(block_size);
        use(block);
        std::free(block);
    }));

    for (int round = 0; round < rounds; ++round) {
        for (Contender& one : contenders) {
            const auto start = std::chrono::steady_clock::now();
            one.run();
            const std::chrono::duration<double, std::nano> time =
                std::chrono::steady_clock::now() - start;
            one.nanoseconds.push_back(time.count() / pairs);
        }
    }
    std::printf("%-46s %9s %9s %9s\n", "acquire + release of 64 bytes", "ns", "spread", "x limit");
    double limit = 0;
    for (Contender& one : contenders) {
        std::sort(one.nanoseconds.begin(), one.nanoseconds.end());
        const double median = one.nanoseconds[rounds / 2];
        if (limit == 0) limit = median;
        const double spread = one.nanoseconds[rounds * 3 / 4] - one.nanoseconds[rounds / 4];
        std::printf("%-46s %9.2f %9.2f %9.2f\n", one.name.c_str(), median, spread, median / limit);
    }
    return 0;
}
