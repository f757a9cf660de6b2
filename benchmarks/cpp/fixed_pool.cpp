/// Acquire and release of one block, again and again: what a fixed pool's checks cost beside a bare
/// free list that has none.

#include <cstdio>
#include <cstdlib>
#include <memory_resource>
#include <vector>

#include "pools/fixed/fixed_pool.hpp"
#include "threads/fixed/shared_fixed_pool.hpp"
#include "turns.hpp"

#if __has_include(<boost/pool/pool.hpp>)
#include <boost/pool/pool.hpp>
#define NUMPOOL_HAS_BOOST 1
#endif

namespace {

using turns::use;

constexpr std::size_t block_size = 64;
constexpr std::size_t pairs = 200'000;

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
    turns::Contest contest{"acquire + release of 64 bytes", pairs};
    contest.add("bare free list, inline (the limit)", [&] {
        void* const block = bare.acquire();
        use(block);
        bare.release(block);
    });
    contest.add("FixedPool, inline, range and stride checked", [&] {
        std::byte* const block = pool.acquire().start;
        use(block);
        pool.release(block);
    });
    contest.add("FixedPool with ledger (finds double frees)", [&] {
        std::byte* const block = pool.acquire_recorded().start;
        use(block);
        pool.release_recorded(block);
    });
    contest.add("SharedFixedPool (any thread, waiting)", [&] {
        std::byte* const block = shared->try_acquire().start;
        use(block);
        shared->release(block);
    });
#ifdef NUMPOOL_HAS_BOOST
    boost::pool<> boosted{block_size};
    contest.add("boost::pool", [&] {
        void* const block = boosted.malloc();
        use(block);
        boosted.free(block);
    });
#else
    std::puts("boost::pool is missing: its headers are not installed");
#endif
    contest.add("std::pmr::unsynchronized_pool_resource", [&] {
        void* const block = pmr.allocate(block_size, 16);
        use(block);
        pmr.deallocate(block, block_size, 16);
    });
    contest.add("malloc and free", [&] {
        void* const block = std::malloc(block_size);
        use(block);
        std::free(block);
    });

    contest.run();
    return 0;
}
