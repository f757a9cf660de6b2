// A pool for containers, and one for equal buffers. CMakeLists.txt shows how to link numpool.

#include <cstdio>
#include <memory_resource>
#include <vector>

#include <numpool/numpool.hpp>

int main() {
    numpool::SlabPool pool{{.limit = 64 << 20, .name = "frames"}};
    numpool::memory_resource resource{pool};
    std::pmr::vector<float> frame(1'000'000, 1.0F, &resource);
    std::printf("numpool %s: %zu bytes in '%s'\n", NUMPOOL_VERSION, pool.figures().requested,
                pool.name().c_str());
    try {
        frame.resize(100'000'000);
    } catch (const std::bad_alloc& refused) {
        std::printf("%s\n", refused.what());
    }

    numpool::FixedPool buffers{{.block_size = 4096, .blocks = 1, .name = "buffers"}, pool};
    void* const buffer = buffers.acquire();
    std::printf("%s\n", buffers.try_acquire() == nullptr ? "no second buffer" : "a second buffer");
    buffers.release(buffer);
}
