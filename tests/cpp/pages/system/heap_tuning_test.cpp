// CMakeLists.txt also links this test to fixed addresses, like Debian's Python.
#include "pages/system/heap_tuning.hpp"

#include <malloc.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "base/error.hpp"
#include "testing.hpp"

using namespace numpool;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)

TEST("if malloc is not glibc's, its heap is not tuned and the error names the file of malloc") {
    CHECK_THROWS(BadArgument, "needs glibc's malloc; here malloc comes from /", pages::keep_heap());
}

#else

namespace {

/// Before glibc 2.33 the count is an int, which is enough here.
std::size_t blocks_with_mappings_of_their_own() {
#if __GLIBC_PREREQ(2, 33)
    return mallinfo2().hblks;
#else
    return static_cast<std::size_t>(mallinfo().hblks);
#endif
}

/// Whether the heap is where it can grow, and shrink, in place. Under qemu's emulation of a process
/// it is not: then glibc has mappings in its stead, and keeps them.
bool heap_can_grow(std::size_t bytes) {
    const auto step = static_cast<std::intptr_t>(bytes);
    if (sbrk(step) == reinterpret_cast<void*>(-1)) return false;
    sbrk(-step);
    return true;
}

}  // namespace

TEST("the heap keeps freed memory between keep_heap and release_heap") {
    constexpr std::size_t bytes = std::size_t{64} << 20;
    if (!heap_can_grow(bytes)) {
        std::printf("       skipped: this process's heap can't grow where it is\n");
        return;
    }
    // In a program at fixed addresses this is the address of a stub.
    void* (*volatile const allocate)(std::size_t) = &std::malloc;
    const std::size_t before = blocks_with_mappings_of_their_own();
    pages::keep_heap();
    void* const kept = allocate(bytes);
    CHECK(kept != nullptr);
    CHECK_EQUAL(blocks_with_mappings_of_their_own(), before);
    std::free(kept);
    pages::release_heap();
    void* const mapped = allocate(bytes);
    CHECK(mapped != nullptr);
    CHECK_EQUAL(blocks_with_mappings_of_their_own(), before + 1);
    std::free(mapped);
}

#endif
