#include <jemalloc/jemalloc.h>

#include <cstdlib>

#include "peer_main.hpp"

namespace {

/// Linked to jemalloc, which takes malloc's name.
struct Jemalloc {
    static constexpr bool any_size = true;
    static constexpr bool any_thread = true;

    void* allocate(std::size_t size) { return malloc_(size); }
    void release(void* block, std::size_t) { free_(block); }
    void trim() {
        mallctl("thread.tcache.flush", nullptr, nullptr, nullptr, 0);
        mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);
    }

  private:
    void* (*malloc_)(std::size_t) = benchmark::opaque(&std::malloc);
    void (*free_)(void*) = benchmark::opaque(&std::free);
};

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<Jemalloc>(count, arguments);
}
