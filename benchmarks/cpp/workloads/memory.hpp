#pragma once

#include <cstring>

#include "workloads/speed.hpp"

namespace benchmark {

/// What a million blocks of 64 bytes take besides themselves, and what is left when all are
/// released and the allocator was asked to give back.
template <class Peer>
void overhead(Peer& peer) {
    constexpr std::size_t count = 1000000;
    constexpr std::size_t size = 64;
    std::vector<void*> blocks(count);
    std::memset(blocks.data(), 1, count * sizeof(void*));
    peer.release(peer.allocate(size), size);
    const std::size_t before = resident_bytes();
    for (void*& block : blocks) {
        block = peer.allocate(size);
        std::memset(block, 1, size);
    }
    const auto grown = static_cast<double>(resident_bytes() - before);
    report("overhead over 1e6 x 64B, %", (grown / (count * size) - 1) * 100);
    for (void* const block : blocks) peer.release(block, size);
    peer.trim();
    const std::size_t after = resident_bytes();
    const double left = after > before ? static_cast<double>(after - before) : 0;
    report("given back by trim, %", (1 - left / grown) * 100);
}

/// Many live blocks, written, then all released, again and again.
template <class Peer>
void bursts(Peer& peer) {
    for (std::size_t size : {4096, 16384, 65536, 262144, 1048576}) {
        const std::size_t count = 1000;
        std::vector<void*> blocks(count);
        const auto round = [&] {
            for (void*& block : blocks) {
                block = peer.allocate(size);
                for (std::size_t page = 0; page < size; page += 4096) {
                    static_cast<char*>(block)[page] = 1;
                }
            }
            for (void* const block : blocks) peer.release(block, size);
        };
        round();
        const double start = nanoseconds_now();
        const std::size_t faults = page_faults();
        constexpr int rounds = 3;
        for (int i = 0; i < rounds; ++i) round();
        const double time = (nanoseconds_now() - start) / (rounds * count);
        // Before anything is printed: what prints for the first time faults, too.
        const auto faulted = static_cast<double>(page_faults() - faults);
        report("burst of 1000 x " + size_name(size) + ", ns a block", time);
        report("burst of 1000 x " + size_name(size) + ", faults a round", faulted / rounds);
    }
}

}  // namespace benchmark
