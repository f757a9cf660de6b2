#include "threads/slab/allocator_functions.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "testing.hpp"
#include "threads/slab/pool_with_fallback.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

PoolHandle<SharedSlabPool> limited(std::size_t bytes) {
    SharedSlabPoolOptions options;
    options.name = "small";
    options.spans.limit = bytes;
    return SharedSlabPool::create(options);
}

/// The table that a hook gets, and its functions by their names.
struct Hook {
    explicit Hook(Pool& pool, const Fallback& fallback = {}, bool apart = false)
        : pools{pool, fallback},
          table{apart ? allocator_functions<true>(&pools) : allocator_functions<false>(&pools)} {}

    std::byte* malloc(std::size_t bytes) {
        return static_cast<std::byte*>(table.malloc(table.context, bytes));
    }
    std::byte* calloc(std::size_t count, std::size_t size) {
        return static_cast<std::byte*>(table.calloc(table.context, count, size));
    }
    std::byte* realloc(void* block, std::size_t bytes) {
        return static_cast<std::byte*>(table.realloc(table.context, block, bytes));
    }
    void free(void* block, std::size_t bytes) { table.free(table.context, block, bytes); }

    PoolWithFallback pools;
    AllocatorTable table;
};

/// What a forked child writes to its standard error before it aborts. Empty where it does not
/// abort.
template <class Work>
std::string last_words(Work work) {
    int ends[2];
    if (pipe(ends) != 0) return {};
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        work();
        _exit(0);
    }
    close(ends[1]);
    std::array<char, 512> text{};
    const ssize_t bytes = read(ends[0], text.data(), text.size());
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || bytes < 0) return {};
    return {text.data(), static_cast<std::size_t>(bytes)};
}

}  // namespace

TEST("the functions allocate, zero, move and free, and accept everything that C allows") {
    const auto pool = SharedSlabPool::create();
    for (const bool apart : {false, true}) {
        Hook hook{*pool, {}, apart};
        std::byte* block = hook.malloc(100);
        std::memset(block, 7, 100);
        hook.free(block, 100);
        for (const std::size_t size : {10UL, 100000UL}) {
            block = hook.calloc(10, size);
            for (std::size_t i = 0; i < 10 * size; ++i) CHECK(block[i] == std::byte{0});
            std::memset(block, 7, 10 * size);
            hook.free(block, 10 * size);
        }
        block = hook.calloc(10, 10);
        block[99] = std::byte{5};
        block = hook.realloc(block, 100000);
        CHECK(block[99] == std::byte{5});
        hook.free(block, 3);
        hook.free(nullptr, 1000);
        CHECK(hook.calloc(~std::size_t{0}, 2) == nullptr);
        CHECK(hook.calloc(std::size_t{1} << 62, 1) == nullptr);
        CHECK(hook.malloc(~std::size_t{0}) == nullptr);
        hook.free(hook.realloc(nullptr, 10), 10);
        hook.free(hook.malloc(0), 0);
        CHECK_EQUAL(pool->figures().blocks, 0U);
    }
    pool->check();
}

TEST("a refusal's text is returned once, and comes from the pool that refused") {
    const auto small = limited(1 << 20);
    const auto large = limited(4 << 20);
    Hook hook{*small};
    CHECK_EQUAL(hook.pools.pop_refusal(), "");
    CHECK(hook.malloc(2 << 20) == nullptr);
    CHECK_EQUAL(hook.pools.pop_refusal(),
                "SlabPool 'small': 2097152 bytes (2 MiB) requested, 0 bytes of a limit of 1 MiB in "
                "use; that is more than the limit: raise the limit");
    CHECK_EQUAL(hook.pools.pop_refusal(), "");
    std::byte* const used = hook.malloc(512 << 10);
    CHECK(hook.malloc(1 << 20) == nullptr);
    hook.free(used, 512 << 10);
    CHECK(hook.pools.pop_refusal().find("576 KiB of a limit of 1 MiB in use") != std::string::npos);
    CHECK(hook.malloc(2 << 20) == nullptr);  // This refusal's text stays.
    Hook both{*small, Fallback{PoolHandle<Pool>{large.get()}, true}};
    std::byte* const block = both.malloc(2 << 20);
    CHECK(block != nullptr);
    CHECK_EQUAL(both.pools.pop_refusal(), "");
    CHECK(both.malloc(3 << 20) == nullptr);
    CHECK(both.pools.pop_refusal().find(" of a limit of 4 MiB in use") != std::string::npos);
    both.free(block, 2 << 20);
    small->close();
    CHECK_EQUAL(small->refusal(1), "SlabPool 'small' is closed and takes no more requests");
}

TEST("reset_peak starts the peaks of a slab pool again from what is in use and what is held") {
    const auto pool = SharedSlabPool::create();
    pool->try_release(pool->acquire(8 << 20), 8 << 20);
    std::byte* const small = pool->acquire(100);
    pool->try_release(pool->acquire(100), 100);
    pool->trim();
    CHECK(pool->figures().peak >= 8U << 20);
    pool->reset_peak();
    CHECK_EQUAL(pool->figures().peak, pool->figures().in_use);
    CHECK(pool->figures().peak_committed < 1U << 20);
    pool->try_release(small, 100);
    pool->check();
}

TEST("a miss of a small block counts one request and one miss, and a full magazine makes room") {
    const auto pool = SharedSlabPool::create();
    Hook hook{*pool};
    std::array<std::byte*, 3000> blocks{};
    for (std::byte*& block : blocks) block = hook.malloc(64);
    auto figures = pool->figures();
    CHECK_EQUAL(figures.requests, blocks.size());
    CHECK(figures.hits < blocks.size());
    CHECK(figures.hits >= blocks.size() / 2);
    for (std::byte* const block : blocks) hook.free(block, 64);
    figures = pool->figures();
    CHECK_EQUAL(figures.blocks, 0U);
    CHECK_EQUAL(figures.requested, 0U);
    pool->check();
}

TEST("arrays that are kept apart never end where the next one begins") {
    const auto pool = SharedSlabPool::create();
    Hook apart{*pool, {}, true};
    Hook close{*pool};
    std::byte* const roomy = apart.malloc(64);
    std::byte* const exact = close.malloc(64);
    CHECK(pool->usable_size(roomy) > 64U);
    CHECK_EQUAL(pool->usable_size(exact), 64U);
    apart.free(roomy, 64);
    close.free(exact, 64);
    CHECK_EQUAL(pool->figures().requested, 0U);
}

TEST("the fallback serves what the pool refuses, and each block goes back to its pool") {
    const auto pool = limited(1 << 20);
    const auto fallback = SharedSlabPool::create();
    Hook hook{*pool, {PoolHandle<Pool>{fallback.get()}, true}};
    std::byte* const large = hook.malloc(2 << 20);
    CHECK(hook.pools.pool_of(large) == fallback.get());
    std::byte* const zeroed = hook.calloc(2, 1 << 20);
    CHECK(hook.pools.pool_of(zeroed) == fallback.get());
    std::byte* block = hook.malloc(500 << 10);
    CHECK(hook.pools.pool_of(block) == pool.get());
    block[0] = std::byte{9};
    // It outgrows the pool, and moves to the fallback with its contents.
    block = hook.realloc(block, 3 << 20);
    CHECK(hook.pools.pool_of(block) == fallback.get());
    CHECK(block[0] == std::byte{9});
    block = hook.realloc(block, 4 << 20);
    CHECK(block[0] == std::byte{9});
    CHECK_EQUAL(hook.pools.pop_refusal(), "");
    for (const auto& [freed, bytes] :
         {std::pair{large, 2 << 20}, {zeroed, 2 << 20}, {block, 4 << 20}}) {
        hook.free(freed, static_cast<std::size_t>(bytes));
    }
    CHECK_EQUAL(pool->figures().blocks + fallback->figures().blocks, 0U);
}

TEST("an unnamed fallback serves for a closed pool, not where a limit refuses") {
    const auto pool = limited(1 << 20);
    const auto fallback = SharedSlabPool::create();
    const Fallback unnamed{PoolHandle<Pool>{fallback.get()}, false};
    Hook hook{*pool, unnamed};
    CHECK(hook.pools.is_of(*pool, unnamed));
    CHECK(!hook.pools.is_of(*pool, {unnamed.pool, true}));
    CHECK(!hook.pools.is_of(*fallback, unnamed));
    CHECK(hook.malloc(2 << 20) == nullptr);
    CHECK(!hook.pools.pop_refusal().empty());
    pool->close();
    std::byte* const block = hook.malloc(2 << 20);
    CHECK(hook.pools.pool_of(block) == fallback.get());
    hook.free(block, 2 << 20);
    CHECK_EQUAL(fallback->figures().blocks, 0U);
}

TEST("a refusal of both pools is remembered, and leaves a block as it was") {
    const auto pool = limited(1 << 20);
    Hook hook{*pool, {PoolHandle<Pool>{pool.get()}, true}};
    std::byte* const block = hook.malloc(100);
    block[0] = std::byte{3};
    CHECK_EQUAL(hook.pools.pop_refusal(), "");
    CHECK(hook.realloc(block, 2 << 20) == nullptr);
    CHECK(!hook.pools.pop_refusal().empty());
    CHECK(block[0] == std::byte{3});
    hook.free(block, 100);
    std::byte local{};
    CHECK(hook.realloc(&local, 10) == nullptr);
}

#ifndef __SANITIZE_ADDRESS__  // Its own allocator is not safe over fork, and hangs children.
TEST("a free of a block of neither pool stops the process with a message") {
    const auto pool = limited(1 << 20);
    Hook hook{*pool};
    std::byte local{};
    const std::string text = last_words([&] { hook.free(&local, 8); });
    CHECK(text.find("numpool: SlabPool 'small': 0x") != std::string::npos);
    CHECK(text.find(" was freed, which is no live block of this pool or of its fallback") !=
          std::string::npos);
}
#endif

TEST("a fallback with a least size serves larger requests only, and blocks move between the two") {
    const auto small = limited(1 << 20);
    const auto large = limited(64 << 20);
    Hook hook{*small, Fallback{PoolHandle<Pool>{large.get()}, true, 65537}};
    std::byte* block = hook.malloc(512 << 10);
    CHECK(hook.pools.pool_of(block) == small.get());
    std::memset(block, 7, 512 << 10);
    block = hook.realloc(block, 2 << 20);
    CHECK(hook.pools.pool_of(block) == large.get());
    CHECK(block[(512 << 10) - 1] == std::byte{7});
    std::byte* const filler = hook.malloc(960 << 10);
    CHECK(hook.pools.pool_of(filler) == small.get());
    while (hook.malloc(60000) != nullptr) continue;
    CHECK(hook.pools.pop_refusal().starts_with("SlabPool 'small': 60000 bytes"));
    CHECK(hook.malloc(65 << 20) == nullptr);
    CHECK(hook.pools.pop_refusal().find(" of a limit of 64 MiB in use") != std::string::npos);
    hook.free(block, 2 << 20);
    CHECK_EQUAL(large->figures().blocks, 0U);
    small->check();
    large->check();
}
