#include <mimalloc.h>

#include "peer_main.hpp"

namespace {

struct Mimalloc {
    static constexpr bool any_size = true;
    static constexpr bool any_thread = true;

    void* allocate(std::size_t size) { return malloc_(size); }
    void release(void* block, std::size_t) { free_(block); }
    void trim() { mi_collect(true); }

  private:
    void* (*malloc_)(std::size_t) = benchmark::opaque(&mi_malloc);
    void (*free_)(void*) = benchmark::opaque(&mi_free);
};

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<Mimalloc>(count, arguments);
}
