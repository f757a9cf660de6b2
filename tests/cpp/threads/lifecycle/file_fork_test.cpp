#include "threads/lifecycle/file_fork.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "pages/range/page_map.hpp"
#include "pages/source/disk_folder.hpp"
#include "testing.hpp"
#include "threads/arena/shared_arena.hpp"
#include "threads/buddy/shared_buddy_pool.hpp"
#include "threads/fixed/shared_fixed_pool.hpp"
#include "threads/lifecycle/pool_pages.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::pages;
using namespace numpool::threads;

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

bool is_zero(Extent extent) {
    for (std::size_t i = 0; i < extent.bytes; i += 512) {
        if (extent.start[i] != std::byte{0}) return false;
    }
    return true;
}

/// Whether the body returns true in a forked child.
template <class Body>
bool in_child(Body body) {
    const pid_t child = fork();
    if (child == 0) _exit(body() ? 0 : 1);
    int status = 1;
    return waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace

TEST("a forked child keeps what it inherited, changes nothing of it, and gets no new pages") {
    const SourceHandle pages = pages_in_file(disk_folder(), true);
    const Extent extent = pages->map(4 * mebibyte, granule);
    std::memset(extent.start, 7, extent.bytes);
    const std::size_t on_disk = pages->bytes_on_disk();
    CHECK(in_child([&] {
        bool good = extent.start[mebibyte] == std::byte{7};
        std::memset(extent.start, 9, mebibyte);
        good = good && !pages->map(mebibyte, granule) && !pages->commit({extent.start, mebibyte});
        good = good &&
               pages->refusal() == "the file belongs to the process that this one was forked from";
        good = good && pages->decommit({extent.start, mebibyte});
        good = good && is_zero({extent.start, mebibyte});
        good = good && pages->purge({extent.start + mebibyte, mebibyte});
        good = good && extent.start[2 * mebibyte] == std::byte{7};
        pages->unmap(extent);
        return good;
    }));
    for (std::size_t i = 0; i < extent.bytes; i += 512) CHECK(extent.start[i] == std::byte{7});
    CHECK_EQUAL(pages->bytes_on_disk(), on_disk);
    // The parent goes on.
    CHECK(pages->decommit(extent));
    CHECK(pages->commit(extent));
    pages->unmap(extent);
}

TEST("of a page that neither has written, a child sees what its parent writes after the fork") {
    const SourceHandle pages = pages_in_file(disk_folder(), true);
    const Extent extent = pages->map(granule, granule);
    std::memset(extent.start, 1, extent.bytes);
    int ends[2];
    CHECK_EQUAL(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        extent.start[0] = std::byte{2};
        char go = 0;
        const bool told = read(ends[0], &go, 1) == 1;
        const bool own = extent.start[0] == std::byte{2} && extent.start[1] == std::byte{1};
        _exit(told && own && extent.start[8192] == std::byte{3} ? 0 : 1);
    }
    usleep(50000);  // The child has written its page.
    std::memset(extent.start, 3, extent.bytes);
    CHECK_EQUAL(write(ends[1], "x", 1), 1);
    int status = 1;
    waitpid(child, &status, 0);
    CHECK_EQUAL(status, 0);
    CHECK(extent.start[0] == std::byte{3});
    close(ends[0]);
    close(ends[1]);
    pages->unmap(extent);
}

TEST("a pool on a file is closed in a forked child, where its live blocks stay valid") {
    const SourceHandle pages = pages_in_file(disk_folder(), true);
    SharedSlabPoolOptions options;
    options.spans = {.cached_limit = 0, .huge_pages = false};
    const auto slabs = SharedSlabPool::create(options, pages);
    SharedFixedPoolOptions blocks;
    blocks.block_size = 4096;
    blocks.blocks = blocks.max_blocks = 4;
    const auto fixed = SharedFixedPool::create(blocks, pages);
    const auto buddies = SharedBuddyPool::create({mebibyte, 4096, ""}, pages);
    const auto arena = SharedArena::create({}, pages);
    const auto drawing = SharedArena::create({}, draw_on(*slabs));
    const auto in_memory = SharedSlabPool::create();
    std::byte* const small = slabs->acquire(100);
    std::byte* const large = slabs->acquire(4 * mebibyte);
    slabs->release(slabs->acquire(200), 200);
    void* const in_arena = arena->try_acquire(100);
    void* const drawn = drawing->try_acquire(100);
    CHECK(in_arena != nullptr && drawn != nullptr);
    std::memset(small, 5, 100);
    std::memset(large, 6, 4 * mebibyte);
    CHECK(in_child([&] {
        bool good = slabs->closed() && fixed->closed() && buddies->closed() && arena->closed();
        good = good && drawing->closed() && !in_memory->closed();
        good =
            good && slabs->try_acquire(200) == nullptr && slabs->try_acquire(mebibyte) == nullptr;
        good = good && small[99] == std::byte{5} && large[mebibyte] == std::byte{6};
        good = good && in_memory->try_acquire(100) != nullptr;
        good = good && slabs->try_release(large, 4 * mebibyte) && slabs->try_release(small, 100);
        return good;
    }));
    CHECK(!slabs->closed());
    CHECK(large[4 * mebibyte - 1] == std::byte{6} && small[0] == std::byte{5});
    std::byte* const another = slabs->try_acquire(mebibyte);
    CHECK(another != nullptr);
    slabs->check();
    // A pool lives as long as one of its blocks.
    slabs->release(another, mebibyte);
    slabs->release(large, 4 * mebibyte);
    slabs->release(small, 100);
    CHECK(arena->try_release(in_arena, 100) && drawing->try_release(drawn, 100));
}
