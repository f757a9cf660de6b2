#include <malloc.h>

#include <cstdlib>

#include "peer_main.hpp"

namespace {

struct Glibc {
    static constexpr bool any_size = true;
    static constexpr bool any_thread = true;

    void* allocate(std::size_t size) { return malloc_(size); }
    void release(void* block, std::size_t) { free_(block); }
    void trim() { malloc_trim(0); }

  private:
    void* (*malloc_)(std::size_t) = benchmark::opaque(&std::malloc);
    void (*free_)(void*) = benchmark::opaque(&std::free);
};

#ifdef NUMPOOL_BENCHMARK_KEEP
/// Told to keep what it has: the three calls that a program can make without any pool.
struct Keeping : Glibc {
    Keeping() {
        mallopt(M_MMAP_THRESHOLD, 1 << 30);
        mallopt(M_TRIM_THRESHOLD, 2147483647);
        mallopt(M_TOP_PAD, 64 << 20);
    }
};
using Peer = Keeping;
#else
using Peer = Glibc;
#endif

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<Peer>(count, arguments);
}
