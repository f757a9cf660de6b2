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

#include "testing.hpp"
#include "threads/checked/checked_blocks.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

using Contents = CheckedBlocksOptions::Contents;

/// A pool of which one block in `every` is guarded.
class Guarded {
  public:
    explicit Guarded(std::size_t every, Contents contents = Contents::filled) {
        SharedSlabPoolOptions options;
        options.name = "test";
        options.wipe = contents == Contents::zeroed;
        pool_ = SharedSlabPool::create(options);
        CheckedBlocksOptions checks;
        checks.guard_every = every;
        checks.contents = contents;
        auto layer = std::make_unique<CheckedBlocks>(*pool_, *pool_, checks);
        blocks_ = layer.get();
        pool_->set_layer(std::move(layer));
    }
    CheckedBlocks* operator->() const { return blocks_; }
    SharedSlabPool& pool() const { return *pool_; }

  private:
    PoolHandle<SharedSlabPool> pool_;
    CheckedBlocks* blocks_ = nullptr;
};

bool is_guarded(const std::byte* block) {
    return GuardTable::instance().find(block) != nullptr;
}

std::size_t guarded_among(const std::vector<std::byte*>& blocks) {
    return static_cast<std::size_t>(std::count_if(blocks.begin(), blocks.end(), is_guarded));
}

std::vector<std::byte*> acquire(const Guarded& pool, std::size_t bytes, std::size_t count) {
    std::vector<std::byte*> blocks;
    while (blocks.size() < count) blocks.push_back(pool->acquire(bytes));
    return blocks;
}

void release(const Guarded& pool, const std::vector<std::byte*>& blocks) {
    for (std::byte* const block : blocks) pool->release(block);
}

/// What a child says that does this, and how it ends.
struct Ended {
    std::string text;
    int status = 0;
};

template <class Act>
Ended in_child(const Act& act) {
    int pipe_ends[2];
    CHECK_EQUAL(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(pipe_ends[1], STDERR_FILENO);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        act();
        _exit(0);
    }
    close(pipe_ends[1]);
    Ended ended;
    char part[500];
    for (ssize_t got = 0; (got = read(pipe_ends[0], part, sizeof part)) > 0;)
        ended.text.append(part, static_cast<std::size_t>(got));
    close(pipe_ends[0]);
    waitpid(child, &ended.status, 0);
    return ended;
}

void write_to(std::byte* address) {
    *static_cast<volatile std::byte*>(address) = std::byte{1};
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST("three of four guarded blocks end at a guard, and one starts at one") {
    const Guarded pool{1};
    for (const std::size_t bytes : {1, 10, 80, 4096, 5000, 100000}) {
        const auto blocks = acquire(pool, bytes, 8);
        CHECK_EQUAL(guarded_among(blocks), 8U);
        std::size_t at_the_start = 0;
        for (const std::byte* const block : blocks) {
            const pages::Extent extent = GuardTable::instance().find(block)->extent();
            if (block == extent.start) ++at_the_start;
            CHECK(block == extent.start || block + bytes == extent.end());
            CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(block) % (bytes & -bytes), 0U);
            CHECK(pool->contains(block));
            CHECK(pool->contains(block + bytes - 1));
            CHECK(!pool->contains(block + bytes));
            CHECK(!pool.pool().owns(block));
        }
        CHECK(bytes == 4096 || at_the_start == 2);
        release(pool, blocks);
    }
}

TEST("a part of the blocks is guarded, chosen at random") {
    const Guarded pool{8};
    const auto blocks = acquire(pool, 80, 1000);
    const std::size_t count = guarded_among(blocks);
    CHECK(count > 60 && count < 250);
    std::vector<std::size_t> distances;
    std::size_t last = 0;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        if (!is_guarded(blocks[i])) continue;
        distances.push_back(i - last);
        last = i;
    }
    std::sort(distances.begin(), distances.end());
    CHECK(distances.front() < 4 && distances.back() > 8);
    release(pool, blocks);
}

TEST("the guarded blocks of a process are bounded, and those that rest make room") {
    const Guarded pool{1};
    const auto blocks = acquire(pool, 80, 2 * GuardTable::most_blocks);
    CHECK_EQUAL(guarded_among(blocks), GuardTable::most_blocks);
    release(pool, blocks);
    // All of them rest, and yet each new block is guarded.
    for (std::size_t i = 0; i < GuardTable::most_blocks; ++i) {
        std::byte* const block = pool->acquire(80);
        CHECK(is_guarded(block));
        pool->release(block);
    }
    pool->empty_quarantine();
    CHECK_EQUAL(pool->quarantined(), 0U);
    CHECK(!is_guarded(blocks.front()));
}

TEST("the bytes of guarded blocks are bounded, and a larger block is not guarded") {
    const Guarded pool{1};
    std::byte* const half = pool->acquire(GuardTable::most_bytes / 2);
    CHECK(is_guarded(half));
    std::byte* const more = pool->acquire(GuardTable::most_bytes / 2 + 1);
    CHECK(!is_guarded(more));
    pool->release(half);
    std::byte* const whole = pool->acquire(GuardTable::most_bytes);
    CHECK(is_guarded(whole));
    std::byte* const none = pool->acquire(0);
    CHECK(!is_guarded(none));
    for (std::byte* const block : {more, whole, none}) pool->release(block);
}

TEST("guarded blocks hold what other checked blocks do") {
    const Guarded filled{1};
    const Guarded zeroed{1, Contents::zeroed};
    for (int i = 0; i < 4; ++i) {
        std::byte* const block = filled->acquire(100);
        std::byte* const zeroes = filled->try_acquire_zeroed(100);
        std::byte* const wiped = zeroed->acquire(100);
        for (int k = 0; k < 100; ++k) {
            CHECK(block[k] == CheckedBlocks::acquired_byte);
            CHECK(zeroes[k] == std::byte{0});
            CHECK(wiped[k] == std::byte{0});
        }
        release(filled, {block, zeroes});
        release(zeroed, {wiped});
    }
    const Guarded kept{1, Contents::kept};
    std::byte* const block = kept->acquire(100);
    CHECK(!is_guarded(block));
    kept->release(block);
}

TEST("a fault at a guard is reported, and the process ends by it") {
    const Guarded pool{1};
    std::byte* const block = pool->acquire(80);
    const Ended past = in_child([&] { write_to(block + 80); });
    CHECK(past.status != 0);
    CHECK(has(past.text, "numpool: SlabPool 'test': a"));
    CHECK(has(past.text, " past a block: byte 80 (a block of 80 bytes at 0x"));
    CHECK(has(past.text, ")\n  acquired by native code\n"));
    pool->release(block);
    const Ended late = in_child([&] { write_to(block + 3); });
    CHECK(late.status != 0);
    CHECK(has(late.text, " of a block after its release: byte 3 (a block of 80 bytes at 0x"));
    CHECK(has(late.text, ")\n  acquired by native code\n  released by native code\n"));
}

TEST("a handler that was there before gets every fault, and is there again afterwards") {
    std::signal(SIGSEGV, [](int) { _exit(7); });
    {
        const Guarded pool{1};
        std::byte* const block = pool->acquire(80);
        const Ended past = in_child([&] { write_to(block + 80); });
        CHECK(has(past.text, " past a block: byte 80"));
        CHECK(WIFEXITED(past.status) && WEXITSTATUS(past.status) == 7);
        const Ended sent = in_child([] { raise(SIGSEGV); });
        CHECK_EQUAL(sent.text, "");
        CHECK(WIFEXITED(sent.status) && WEXITSTATUS(sent.status) == 7);
        pool->release(block);
    }
    struct sigaction now{};
    sigaction(SIGSEGV, nullptr, &now);
    CHECK((now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler != SIG_DFL);
    std::signal(SIGSEGV, SIG_DFL);
}

TEST("threads acquire and release guarded blocks at once, and forks find the locks free") {
    const Guarded pool{2};
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < 4; ++i) {
        threads.emplace_back([&, i] {
            while (!stop) release(pool, acquire(pool, i * 100, 3));
        });
    }
    for (int i = 0; i < 10; ++i) {
        const Ended ended = in_child([&] {
            alarm(20);
            release(pool, acquire(pool, 10, 10));
            pool->check();
        });
        CHECK_EQUAL(ended.status, 0);
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    pool->check();
    CHECK_EQUAL(pool->live().size(), 0U);
}
