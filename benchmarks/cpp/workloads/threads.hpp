#pragma once

#include <sched.h>

#include <atomic>
#include <memory>
#include <thread>

#include "workloads/speed.hpp"

namespace benchmark {

/// Threads on one allocator, 1, 2, 4 … and as many as there are processors, each with pairs of its
/// own: what a pair takes in the slowest of them.
template <class Peer>
void scaling(Peer& peer) {
    const std::size_t processors = std::max(std::thread::hardware_concurrency(), 2U);
    for (std::size_t size : {64, 4096}) {
        peer.release(peer.allocate(size), size);
        for (std::size_t count = 1;; count = std::min(2 * count, processors)) {
            std::atomic<std::size_t> ready{0};
            std::vector<double> times(count);
            const auto work = [&](std::size_t who) {
                peer.release(peer.allocate(size), size);
                ++ready;
                while (ready < count) std::this_thread::yield();
                times[who] = time_pair(peer, size, 2000000);
            };
            std::vector<std::thread> others;
            for (std::size_t i = 1; i < count; ++i) others.emplace_back(work, i);
            work(0);
            for (std::thread& other : others) other.join();
            report("pair " + size_name(size) + ", threads: " + std::to_string(count) + ", ns",
                   *std::max_element(times.begin(), times.end()));
            if (count == processors) break;
        }
    }
}

/// Keeps the calling thread on one of the processors that it may run on. Two threads on one, where
/// a scheduler happens to put them, would take turns instead of meeting.
inline void stay_on_processor(int which) {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    which %= CPU_COUNT(&allowed);
    for (int number = 0; number < CPU_SETSIZE; ++number) {
        if (!CPU_ISSET(number, &allowed) || which-- != 0) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(number, &one);
        sched_setaffinity(0, sizeof one, &one);
    }
}

/// One thread allocates, the other releases, through a ring of pointers, on two processors.
template <class Peer>
void producer_and_consumer(Peer& peer) {
    constexpr std::size_t slots = 1024;
    constexpr std::size_t count = 1000000;
    constexpr std::size_t size = 64;
    peer.release(peer.allocate(size), size);
    const auto ring = std::make_unique<std::atomic<void*>[]>(slots);
    const double start = nanoseconds_now();
    std::thread consumer{[&] {
        stay_on_processor(1);
        for (std::size_t i = 0; i < count; ++i) {
            std::atomic<void*>& slot = ring[i % slots];
            void* block;
            while ((block = slot.load(std::memory_order_acquire)) == nullptr) {
                std::this_thread::yield();
            }
            slot.store(nullptr, std::memory_order_release);
            peer.release(block, size);
        }
    }};
    // Now that the other has not inherited it.
    stay_on_processor(0);
    for (std::size_t i = 0; i < count; ++i) {
        void* const block = peer.allocate(size);
        *static_cast<char*>(block) = 1;
        std::atomic<void*>& slot = ring[i % slots];
        while (slot.load(std::memory_order_acquire) != nullptr) std::this_thread::yield();
        slot.store(block, std::memory_order_release);
    }
    consumer.join();
    report("one allocates 64B, one frees, ns", (nanoseconds_now() - start) / count);
}

}  // namespace benchmark
