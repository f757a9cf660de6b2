#include <memory_resource>

#include "peer_main.hpp"

namespace {

/// Calls are virtual, as a function pointer's are indirect.
struct Pmr {
    static constexpr bool any_size = true;
#ifdef NUMPOOL_BENCHMARK_SYNCHRONIZED
    static constexpr bool any_thread = true;
    using Resource = std::pmr::synchronized_pool_resource;
#else
    static constexpr bool any_thread = false;
    using Resource = std::pmr::unsynchronized_pool_resource;
#endif

    void* allocate(std::size_t size) { return resource_->allocate(size); }
    void release(void* block, std::size_t size) { resource_->deallocate(block, size); }
    void trim() { pool_.release(); }

  private:
    Resource pool_;
    std::pmr::memory_resource* resource_ = &pool_;
};

}  // namespace

int main(int count, char** arguments) {
    return benchmark::run<Pmr>(count, arguments);
}
