#pragma once

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include "testing.hpp"

/// Whether a wait with a real-time priority ends, on one processor, where an ordinary thread holds
/// what is waited for: that thread runs only while the waiting one sleeps. `take` and `give` are
/// called by the holder, `wait` by the other. Linux itself lets ordinary threads run after 950 ms.
template <class Take, class Give, class Wait>
void check_wait_in_real_time(Take take, Give give, Wait wait) {
    using Clock = std::chrono::steady_clock;
    cpu_set_t all;
    CHECK_EQUAL(sched_getaffinity(0, sizeof all, &all), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    }
    std::atomic<bool> held = false;
    std::atomic<bool> waits = false;
    bool permitted = false;
    Clock::duration waited{};
    std::thread holder{[&] {
        sched_setaffinity(0, sizeof one, &one);
        take();
        held = true;
        while (!waits) sched_yield();
        give();
    }};
    std::thread waiter{[&] {
        sched_setaffinity(0, sizeof one, &one);
        while (!held) sched_yield();
        const sched_param lowest{.sched_priority = 1};
        permitted = pthread_setschedparam(pthread_self(), SCHED_FIFO, &lowest) == 0;
        const auto start = Clock::now();
        waits = true;
        if (permitted) wait();
        waited = Clock::now() - start;
    }};
    waiter.join();
    holder.join();
    if (!permitted) {
        std::printf("       skipped: this process may not use real-time priorities\n");
        return;
    }
    CHECK(waited < std::chrono::milliseconds{500});
}
