#pragma once

#include <cstring>

#include "workloads/memory.hpp"
#include "workloads/speed.hpp"
#include "workloads/threads.hpp"

namespace benchmark {

/// The main function of a peer's program: runs the workload named, in a process of its own, so
/// that each allocator has its memory and its thread-local storage as a program linked to it has.
///
/// A peer has `allocate(size)`, `release(block, size)` and `trim()`. What it can't do it says:
/// `any_size` and `any_thread` choose the workloads that apply; others print nothing. What applies
/// prints, last, the process's peak of resident memory: the program and the workload's own tables
/// count in it, which are the same for all peers.
template <class Peer>
int run(int count, char** arguments) {
    if (count != 2) {
        std::fprintf(stderr, "usage: %s workload\n", arguments[0]);
        return 2;
    }
    Peer peer;
    const auto has = [&](const std::string& workload, auto work) {
        if (arguments[1] != workload) return;
        work(peer);
        constexpr double mebibyte = 1 << 20;
        report("peak RSS of " + workload + ", MiB",
               static_cast<double>(peak_resident_bytes()) / mebibyte);
    };
    has("pairs", pairs<Peer>);
    has("batches", batches<Peer>);
    if constexpr (Peer::any_size) {
        has("large-pairs", large_pairs<Peer>);
        has("churn", churn<Peer>);
        has("overhead", overhead<Peer>);
        has("bursts", bursts<Peer>);
    }
    if constexpr (Peer::any_thread) {
        has("scaling", scaling<Peer>);
        has("hand-over", producer_and_consumer<Peer>);
    }
    return 0;
}

}  // namespace benchmark
