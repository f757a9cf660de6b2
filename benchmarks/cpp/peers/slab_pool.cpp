#include "pools/slab/slab_pool.hpp"

#include "peer_main.hpp"

namespace {

using numpool::pools::SlabPool;

void* acquire(SlabPool& pool, std::size_t size) {
    return pool.try_acquire(size);
}

void release(SlabPool& pool, void* block, std::size_t size) {
    pool.try_release(block, size);
}

/// A slab pool of one thread. Inline it would be ahead of what the others are called by.
struct Slabs {
    static constexpr bool any_size = true;
    static constexpr bool any_thread = false;

    void* allocate(std::size_t size) { return acquire_(pool_, size); }
    void release(void* block, std::size_t size) { release_(pool_, block, size); }
    void trim() { pool_.trim(); }

  private:
    SlabPool pool_;
    void* (*acquire_)(SlabPool&, std::size_t) = benchmark::opaque(&acquire);
    void (*release_)(SlabPool&, void*, std::size_t) = benchmark::opaque(&::release);
};

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<Slabs>(count, arguments);
}
