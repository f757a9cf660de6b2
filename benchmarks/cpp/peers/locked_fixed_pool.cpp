#include <mutex>

#include "fixed_peer.hpp"
#include "pools/fixed_pool.hpp"

namespace {

/// What a shared pool is without magazines: every operation goes through a mutex.
struct LockedFixed {
    explicit LockedFixed(std::size_t size) : pool{options_for(size)} {}

    static numpool::pools::FixedPoolOptions options_for(std::size_t size) {
        numpool::pools::FixedPoolOptions options;
        options.block_size = size;
        options.blocks = options.max_blocks = benchmark::fixed_blocks;
        options.ledger = true;
        return options;
    }
    std::byte* acquire() {
        const std::lock_guard lock{mutex};
        return pool.acquire_recorded().start;
    }
    void release(std::byte* block) {
        const std::lock_guard lock{mutex};
        pool.release_recorded(block);
    }

    std::mutex mutex;
    numpool::pools::FixedPool pool;
};

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<benchmark::FixedPeer<LockedFixed>>(count, arguments);
}
