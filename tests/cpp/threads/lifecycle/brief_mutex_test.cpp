#include "threads/lifecycle/brief_mutex.hpp"

#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "base/gate/real_time.hpp"
#include "testing.hpp"

using numpool::threads::BriefMutex;

TEST("one thread at a time holds a brief mutex, and sees what earlier holders did") {
    BriefMutex mutex;
    long value = 0;
    long copy = 0;
    bool torn = false;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int k = 0; k < 20000; ++k) {
                const std::lock_guard lock{mutex};
                torn = torn || value != copy;
                ++value;
                ++copy;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(!torn);
    CHECK_EQUAL(value, 4 * 20000);
}

TEST("a waiter gets a brief mutex that is held for long after it is unlocked, and not before") {
    BriefMutex mutex;
    CHECK(mutex.try_lock());
    CHECK(!mutex.try_lock());
    bool let_go = false;
    bool had_it_later = false;
    std::thread waiter{[&] {
        const std::lock_guard lock{mutex};
        had_it_later = let_go;
    }};
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    let_go = true;
    mutex.unlock();
    waiter.join();
    CHECK(had_it_later);
    CHECK(mutex.try_lock());
    mutex.unlock();
}

TEST("a thread with a real-time priority that waits for the mutex lets its holder run") {
    BriefMutex mutex;
    check_wait_in_real_time([&] { mutex.lock(); }, [&] { mutex.unlock(); }, [&] { mutex.lock(); });
    mutex.unlock();
}
