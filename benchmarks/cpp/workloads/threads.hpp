#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "workloads/speed.hpp"

namespace benchmark {

/// Two threads on one allocator, each with pairs of its own.
template <class Peer>
void two_threads(Peer& peer) {
    for (std::size_t size : {64, 4096}) {
        std::atomic<int> ready{0};
        double times[2] = {};
        const auto work = [&](int who) {
            peer.release(peer.allocate(size), size);
            ++ready;
            while (ready < 2) std::this_thread::yield();
            times[who] = time_pair(peer, size, 2000000);
        };
        std::thread other{work, 1};
        work(0);
        other.join();
        report("pair " + size_name(size) + ", two threads, ns", std::max(times[0], times[1]));
    }
}

/// One thread allocates, the other releases, through a ring of pointers.
template <class Peer>
void producer_and_consumer(Peer& peer) {
    constexpr std::size_t slots = 1024;
    constexpr std::size_t count = 1000000;
    constexpr std::size_t size = 64;
    const auto ring = std::make_unique<std::atomic<void*>[]>(slots);
    const double start = nanoseconds_now();
    std::thread consumer{[&] {
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
