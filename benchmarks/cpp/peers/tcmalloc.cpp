#include <gperftools/malloc_extension_c.h>
#include <gperftools/tcmalloc.h>

#include "peer_main.hpp"

namespace {

struct Tcmalloc {
    static constexpr bool any_size = true;
    static constexpr bool any_thread = true;

    void* allocate(std::size_t size) { return malloc_(size); }
    void release(void* block, std::size_t) { free_(block); }
    void trim() {
        MallocExtension_MarkThreadIdle();
        MallocExtension_ReleaseFreeMemory();
    }

  private:
    void* (*malloc_)(std::size_t) = benchmark::opaque(&tc_malloc);
    void (*free_)(void*) = benchmark::opaque(&tc_free);
};

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<Tcmalloc>(count, arguments);
}
