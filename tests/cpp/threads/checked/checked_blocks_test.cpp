#include "threads/checked/checked_blocks.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "testing.hpp"
#include "threads/fixed/shared_fixed_pool.hpp"
#include "threads/slab/allocator_functions.hpp"
#include "threads/slab/pool_with_fallback.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

/// While it exists, it takes the process's reports, and gives the same line to each block.
class Program {
  public:
    Program() {
        const auto line = []() noexcept -> SourceLine { return "program.py:1 in f"; };
        CheckedPools::instance().set_hooks({.line = line, .reported = []() noexcept {}});
    }
    ~Program() { CheckedPools::instance().set_hooks({}); }

    static std::string report() { return CheckedPools::instance().take_report(); }
};

template <class SomePool>
CheckedBlocks& with_checks(SomePool& pool, const CheckedBlocksOptions& options = {}) {
    auto layer = std::make_unique<CheckedBlocks>(pool, pool, options);
    CheckedBlocks& blocks = *layer;
    pool.set_layer(std::move(layer));
    return blocks;
}

PoolHandle<SharedSlabPool> slab_pool() {
    SharedSlabPoolOptions options;
    options.name = "test";
    return SharedSlabPool::create(options);
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST("a byte before or past a block is found, each on its own, and once") {
    const Program program;
    const auto pool = slab_pool();
    CheckedBlocks& blocks = with_checks(*pool);
    for (const std::size_t bytes : {0, 1, 10, 63, 64, 1000, 5000, 70000, 3000000}) {
        for (const bool before : {true, false}) {
            std::byte* const block = blocks.try_acquire(bytes);
            (before ? block[-1] : block[bytes]) = std::byte{7};
            blocks.release(block);
            const std::string place = before ? "-1" : std::to_string(bytes);
            const std::string text = Program::report();
            CHECK(has(text, "SlabPool 'test': a write "));
            CHECK(has(text, ": byte " + place + " is 0x07 (a block of " + std::to_string(bytes)));
            CHECK(has(text, "\n  acquired program.py:1 in f\n  released program.py:1 in f"));
            CHECK(Program::report().empty());
        }
    }
    blocks.check();
}

TEST("a write into a block is no damage") {
    const Program program;
    const auto pool = slab_pool();
    CheckedBlocks& blocks = with_checks(*pool);
    std::vector<std::byte*> all;
    for (std::size_t bytes = 0; bytes < 3000; bytes += 7) {
        all.push_back(blocks.try_acquire(bytes));
        CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(all.back()) % 64, 0U);
        std::memset(all.back(), 0x41, bytes);
    }
    blocks.check();
    for (std::byte* const block : all) CHECK(blocks.try_release(block, 0));
    blocks.check();
    CHECK(Program::report().empty());
    CHECK(blocks.empty_quarantine());
    CHECK(!blocks.empty_quarantine());
    CHECK_EQUAL(pool->figures().blocks, 0U);
}

TEST("a write after the release is found by a check and when the block goes back") {
    const Program program;
    const auto pool = slab_pool();
    CheckedBlocks& blocks = with_checks(*pool);
    std::byte* const block = blocks.acquire(100);
    blocks.release(block);
    block[40] = std::byte{1};
    CHECK_THROWS(Misused, "a write to a block after its release: byte 40 is 0x01", blocks.check());
    blocks.check();
    block[99] = std::byte{1};
    blocks.empty_quarantine();
    CHECK(has(Program::report(), "after its release: byte 99 is 0x01"));
}

TEST("the quarantine is a bounded queue") {
    const Program program;
    const auto pool = slab_pool();
    CheckedBlocks& blocks = with_checks(*pool);
    constexpr std::size_t bytes = CheckedBlocks::most_quarantined / 4;
    std::byte* const first = blocks.acquire(bytes);
    blocks.release(first);
    first[0] = std::byte{1};
    for (int i = 0; i < 3; ++i) blocks.release(blocks.acquire(bytes));
    CHECK(Program::report().empty());
    CHECK_EQUAL(blocks.quarantined(), 4U);
    blocks.release(blocks.acquire(10));
    CHECK(has(Program::report(), "after its release: byte 0 is 0x01"));
    CHECK_EQUAL(blocks.quarantined(), 4U);
    // A block larger than the quarantine skips it, and displaces no other block.
    blocks.release(blocks.acquire(CheckedBlocks::most_quarantined + 1));
    CHECK_EQUAL(blocks.quarantined(), 4U);
}

TEST("a release of what is no block is found, and changes nothing") {
    const Program program;
    const auto pool = slab_pool();
    CheckedBlocks& blocks = with_checks(*pool);
    std::byte* const block = blocks.acquire(100);
    for (const std::ptrdiff_t place : {-64, -1, 1, 99, 100, 163}) {
        CHECK(blocks.try_release(block + place, 0));
        CHECK(has(Program::report(), "which is byte " + std::to_string(place) + " of a block"));
    }
    std::byte elsewhere{};
    CHECK(!blocks.try_release(&elsewhere, 0));
    CHECK(Program::report().empty());
    CHECK(blocks.try_release(nullptr, 0));
    CHECK_EQUAL(blocks.live().size(), 1U);
    CHECK(blocks.try_release(block, 0));
    CHECK(blocks.try_release(block, 0));
    CHECK(has(Program::report(), "a second release of a block (a block of 100 bytes"));
}

TEST("an allocator hook's functions serve the layer, and report strays") {
    const Program program;
    const auto pool = slab_pool();
    with_checks(*pool);
    const auto helper = slab_pool();
    PoolWithFallback pools{*pool, {}};
    const AllocatorTable table = allocator_functions<true>(&pools);
    auto* block = static_cast<std::byte*>(table.calloc(table.context, 10, 10));
    for (int i = 0; i < 100; ++i) CHECK(block[i] == std::byte{0});
    block[99] = std::byte{3};
    block = static_cast<std::byte*>(table.realloc(table.context, block, 200));
    CHECK(block[99] == std::byte{3});
    CHECK(block[100] == CheckedBlocks::acquired_byte);
    block[200] = std::byte{1};
    table.free(table.context, block, 200);
    CHECK(has(Program::report(), "a write past a block: byte 200 is 0x01"));
    table.free(table.context, helper->acquire(10), 10);
    CHECK(has(Program::report(), "which is no block of this pool, or was released too long ago"));
    CHECK(table.realloc(table.context, block, 10) == nullptr);
    CHECK(has(Program::report(), "a second release of a block (a block of 200 bytes"));
}

TEST("the quarantine is emptied before a limit refuses a request") {
    const Program program;
    SharedSlabPoolOptions options;
    options.spans.limit = 1 << 20;
    const auto pool = SharedSlabPool::create(options);
    CheckedBlocks& blocks = with_checks(*pool);
    for (int i = 0; i < 10; ++i) blocks.release(blocks.acquire(600000));
    CHECK_THROWS(Exhausted, "1000000000 bytes", blocks.acquire(1000000000));
}

TEST("the last block of a fixed pool skips the quarantine") {
    const Program program;
    SharedFixedPoolOptions options;
    options.block_size = 100;
    options.blocks = options.max_blocks = 3;
    options.fences = 2 * CheckedBlocks::fence;
    const auto pool = SharedFixedPool::create(options);
    CheckedBlocksOptions checks;
    checks.most_blocks = 3;
    CheckedBlocks& blocks = with_checks(*pool, checks);
    CHECK_EQUAL(pool->block_size(), 100U);
    for (int i = 0; i < 10; ++i) {
        std::byte* const block = blocks.wrap(pool->try_acquire().start, 100);
        block[100] = std::byte{0};
        blocks.release(block);
        CHECK_EQUAL(Program::report().find("FixedPool: a write past a block: byte 100 is 0x00"),
                    0U);
    }
    std::vector<std::byte*> all;
    while (const auto block = pool->try_acquire()) all.push_back(blocks.wrap(block.start, 100));
    CHECK_EQUAL(all.size(), 3U);
    for (std::byte* const block : all) blocks.release(block);
    pool->check();
}

TEST("kept contents are not overwritten, and a write after the release is found") {
    const Program program;
    SharedFixedPoolOptions options;
    options.block_size = 100;
    options.blocks = options.max_blocks = 2;
    options.keep_contents = true;
    options.fences = 2 * CheckedBlocks::fence;
    const auto pool = SharedFixedPool::create(options);
    CheckedBlocksOptions checks;
    checks.contents = CheckedBlocksOptions::Contents::kept;
    checks.most_blocks = 2;
    CheckedBlocks& blocks = with_checks(*pool, checks);
    std::byte* const block = blocks.wrap(pool->try_acquire().start, 100);
    std::memset(block, 5, 100);
    blocks.release(block);
    blocks.check();
    CHECK(block[50] == std::byte{5});
    block[50] = std::byte{6};
    CHECK_THROWS(Misused, "a write to a block after its release", blocks.check());
    blocks.check();
}

TEST("the last handle empties the quarantine, and blocks may outlive the handles") {
    const Program program;
    auto pool = slab_pool();
    CheckedBlocks& blocks = with_checks(*pool);
    std::byte* const block = blocks.acquire(100);
    blocks.release(blocks.acquire(50));
    pool = {};
    CHECK_EQUAL(blocks.quarantined(), 0U);
    CHECK(has(blocks.take_leak_text(),
              "SlabPool 'test' was closed or dropped with 1 block, 100 bytes"));
    CHECK(blocks.take_leak_text().empty());
    block[100] = std::byte{1};
    blocks.release(block);  // The pool ends here.
    CHECK(has(Program::report(), "a write past a block"));
    CHECK(CheckedPools::instance().live().empty());
}

TEST("threads acquire and release at once, and forks find the lock free") {
    const Program program;
    const auto pool = slab_pool();
    CheckedBlocks& blocks = with_checks(*pool);
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&, i] {
            while (!stop) blocks.release(blocks.acquire(static_cast<std::size_t>(i) * 100));
        });
    }
    for (int i = 0; i < 20; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(20);
            blocks.release(blocks.acquire(10));
            blocks.check();
            _exit(0);
        }
        int status = 1;
        waitpid(child, &status, 0);
        CHECK_EQUAL(status, 0);
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    blocks.check();
    CHECK_EQUAL(blocks.live().size(), 0U);
}

TEST("checks that abort write the report first") {
    const Program program;
    int pipe_ends[2];
    CHECK_EQUAL(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(pipe_ends[1], 2);
        const auto pool = slab_pool();
        CheckedBlocksOptions options;
        options.aborts = true;
        CheckedBlocks& blocks = with_checks(*pool, options);
        std::byte* const block = blocks.acquire(10);
        block[10] = std::byte{1};
        blocks.release(block);
        _exit(0);
    }
    close(pipe_ends[1]);
    std::string text(1000, '\0');
    text.resize(
        static_cast<std::size_t>(std::max<ssize_t>(0, read(pipe_ends[0], text.data(), 1000))));
    close(pipe_ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(has(text, "numpool: SlabPool 'test': a write past a block: byte 10 is 0x01"));
}
