#include "pools/slab_pool.hpp"

#include "peer_main.hpp"

namespace {

/// A slab pool of one thread, called inline.
struct Slabs {
    static constexpr bool any_size = true;
    static constexpr bool any_thread = false;

    void* allocate(std::size_t size) { return pool_.try_acquire(size); }
    void release(void* block, std::size_t size) { pool_.try_release(block, size); }
    void trim() { pool_.trim(); }

  private:
    numpool::pools::SlabPool pool_;
};

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<Slabs>(count, arguments);
}
