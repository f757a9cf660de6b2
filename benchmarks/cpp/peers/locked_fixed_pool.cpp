#include <mutex>

#include "fixed_peer.hpp"
#include "pools/fixed/fixed_pool.hpp"

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
    void* context() { return this; }
    static std::byte* acquire(void* context) {
        auto& self = *static_cast<LockedFixed*>(context);
        const std::lock_guard lock{self.mutex};
        return self.pool.acquire_recorded().start;
    }
    static void release(void* context, std::byte* block) {
        auto& self = *static_cast<LockedFixed*>(context);
        const std::lock_guard lock{self.mutex};
        self.pool.release_recorded(block);
    }

    std::mutex mutex;
    numpool::pools::FixedPool pool;
};

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<benchmark::FixedPeer<LockedFixed>>(count, arguments);
}
