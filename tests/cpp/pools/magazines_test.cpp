#include "pools/magazines.hpp"

#include <sys/mman.h>

#include <cstdio>

#include "pages/os_pages.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;

TEST("magazines that nobody uses hold no memory but that of what is used") {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    std::printf("       skipped: sanitizers touch what they allocate\n");
#else
    constexpr std::size_t count = 64;
    const std::vector<MagazineBounds> bounds(count, {16, 4, std::size_t{1} << 20});
    const std::unique_ptr<Magazine[]> room{new Magazine[count]};
    Magazines magazines{bounds, room.get()};
    alignas(64) std::byte some{};
    CHECK(magazines[count / 2].push({&some, false}));
    std::size_t resident = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const auto address = reinterpret_cast<std::uintptr_t>(magazines[i].begin());
        void* const page = reinterpret_cast<void*>(round_down(address, pages::page_size()));
        unsigned char answer = 0;
        CHECK_EQUAL(mincore(page, 1, &answer), 0);
        resident += answer & 1U;
    }
    // The first shares its page with what the C library notes of the memory.
    CHECK(resident <= 2);
    FreeBlock block{nullptr, false};
    CHECK(!magazines[0].pop(block));
    CHECK(magazines[count / 2].pop(block));
    CHECK_EQUAL(block.start(), &some);
#endif
}
