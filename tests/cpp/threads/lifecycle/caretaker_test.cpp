#include "threads/lifecycle/caretaker.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "testing.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool::threads;
using namespace std::chrono_literals;

namespace {

struct Counting final : Decaying {
    std::size_t decay() noexcept override { return ++calls; }
    std::atomic<std::size_t> calls{0};
};

bool called_soon(const Counting& pool, std::size_t times) {
    for (int i = 0; i < 2000 && pool.calls < times; ++i) std::this_thread::sleep_for(5ms);
    return pool.calls >= times;
}

}  // namespace

TEST("a pool decays again and again until it is removed") {
    Counting first;
    Counting second;
    Caretaker::instance().add(first, 1ms);
    Caretaker::instance().add(second, 1ms);
    CHECK(called_soon(first, 3));
    CHECK(called_soon(second, 3));
    Caretaker::instance().remove(first);
    const std::size_t calls = first.calls;
    CHECK(called_soon(second, second.calls + 3));
    CHECK_EQUAL(first.calls, calls);
    Caretaker::instance().remove(second);
    Caretaker::instance().remove(second);
}

TEST("an idle pool gives its pages back") {
    SharedSlabPoolOptions options;
    options.background = true;
    options.spans.decay_milliseconds = 40;
    const auto pool = SharedSlabPool::create(options);
    std::byte* const block = pool->acquire(std::size_t{8} << 20);
    for (std::size_t i = 0; i < std::size_t{8} << 20; i += 4096) block[i] = std::byte{1};
    pool->release(block);
    for (int i = 0; i < 2000 && pool->figures().cached != 0; ++i) std::this_thread::sleep_for(5ms);
    CHECK_EQUAL(pool->figures().cached, 0U);
    pool->check();
}

namespace {

/// Whether a child that a process with threads forked can start threads. qemu's emulation of a
/// process ends there, by a check of its own.
[[maybe_unused]] bool children_start_threads() {
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        std::thread{[] {}}.join();
        _exit(0);
    }
    int status = 1;
    waitpid(child, &status, 0);
    return status == 0;
}

}  // namespace

// The sanitizers do not let a child of a process with threads start threads, or allocate.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
TEST("a forked child has a caretaker of its own once a pool asks") {
    Counting pool;
    Caretaker::instance().add(pool, 1ms);
    CHECK(called_soon(pool, 2));
    if (!children_start_threads()) {
        Caretaker::instance().remove(pool);
        std::printf("       skipped: forked children of a process with threads can start none\n");
        return;
    }
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        Counting own;
        Caretaker::instance().add(own, 1ms);
        _exit(called_soon(own, 2) ? 0 : 1);
    }
    int status = 1;
    waitpid(child, &status, 0);
    CHECK_EQUAL(status, 0);
    CHECK(called_soon(pool, pool.calls + 2));
    Caretaker::instance().remove(pool);
}
#endif
