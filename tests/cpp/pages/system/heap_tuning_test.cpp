// Also linked to fixed addresses, as Debian's Python is: see CMakeLists.txt.
#include "pages/system/heap_tuning.hpp"

#include <malloc.h>

#include <cstdlib>

#include "base/error.hpp"
#include "testing.hpp"

using namespace numpool;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)

TEST("where malloc is not the C library's its heap is left alone, and who has malloc is named") {
    CHECK_THROWS(BadArgument, "needs glibc's malloc; here malloc comes from /", pages::keep_heap());
}

#else

namespace {

/// Counted by an int before glibc 2.33: enough for these.
std::size_t blocks_with_mappings_of_their_own() {
#if __GLIBC_PREREQ(2, 33)
    return mallinfo2().hblks;
#else
    return static_cast<std::size_t>(mallinfo().hblks);
#endif
}

}  // namespace

TEST("the heap keeps what is freed until it is told not to") {
    constexpr std::size_t bytes = std::size_t{64} << 20;
    // Code at fixed addresses gets that of a stub in the program.
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
