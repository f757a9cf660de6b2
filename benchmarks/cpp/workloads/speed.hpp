#pragma once

#include <cstring>
#include <utility>

#include "measure.hpp"

namespace benchmark {

inline std::string size_name(std::size_t bytes) {
    if (bytes >= 1 << 30) return std::to_string(bytes >> 30) + "GiB";
    if (bytes >= 1 << 20) return std::to_string(bytes >> 20) + "MiB";
    if (bytes >= 1 << 10) return std::to_string(bytes >> 10) + "KiB";
    return std::to_string(bytes) + "B";
}

template <class Peer>
double time_pair(Peer& peer, std::size_t size, std::size_t count) {
    return time_per_operation(count, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            void* const block = peer.allocate(size);
            use(block);
            peer.release(block, size);
        }
    });
}

/// Acquire and release, one block at a time.
template <class Peer>
void pairs(Peer& peer) {
    // The first milliseconds of a process are slower, whatever it does: the first figure is left
    // out.
    bool first = true;
    for (std::size_t size : {16, 16, 64, 256, 1024, 4096, 16384, 65536}) {
        const double time = time_pair(peer, size, 400000);
        if (!first) report("pair " + size_name(size) + ", ns", time);
        first = false;
    }
}

/// Like `pairs`, for large blocks, where the fault of an untouched page would cost more than all
/// else.
template <class Peer>
void large_pairs(Peer& peer) {
    for (std::size_t size = std::size_t{1} << 20; size <= std::size_t{1} << 30; size *= 8) {
        report("pair " + size_name(size) + ", ns", time_pair(peer, size, 2000));
    }
    report("pair 1GiB, ns", time_pair(peer, std::size_t{1} << 30, 2000));
}

/// A thousand blocks at a time, released in random order; each block is written to once.
template <class Peer>
void batches(Peer& peer) {
    constexpr std::size_t count = 1000;
    for (std::size_t size : {64, 4096}) {
        std::vector<std::size_t> order(count);
        for (std::size_t i = 0; i < count; ++i) order[i] = i;
        Random random{3};
        for (std::size_t i = count - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
        std::vector<void*> blocks(count);
        const double time = time_per_operation(200 * count, [&] {
            for (int round = 0; round < 200; ++round) {
                for (void*& block : blocks) {
                    block = peer.allocate(size);
                    *static_cast<char*>(block) = 1;
                }
                for (const std::size_t i : order) peer.release(blocks[i], size);
            }
        });
        report("1000 x " + size_name(size) + ", random free, ns", time);
    }
}

/// 10 000 live blocks of 16 to 4096 bytes; each step replaces one by one of another size.
template <class Peer>
void churn(Peer& peer) {
    constexpr std::size_t live = 10000;
    constexpr std::size_t steps = 1 << 19;
    std::vector<std::pair<void*, std::size_t>> blocks(live);
    std::vector<std::pair<std::uint32_t, std::uint32_t>> plan(steps);
    Random random{11};
    for (auto& [slot, size] : plan) {
        slot = static_cast<std::uint32_t>(random.below(live));
        size = static_cast<std::uint32_t>(16 + random.below(4081));
    }
    for (auto& [block, size] : blocks) {
        size = 16 + random.below(4081);
        block = peer.allocate(size);
    }
    report("churn of 10k live, 16-4096B, ns", time_per_operation(steps, [&] {
               for (const auto& [slot, size] : plan) {
                   auto& [block, old_size] = blocks[slot];
                   peer.release(block, old_size);
                   block = peer.allocate(size);
                   *static_cast<char*>(block) = 1;
                   old_size = size;
               }
           }));
    for (auto& [block, size] : blocks) peer.release(block, size);
}

}  // namespace benchmark
