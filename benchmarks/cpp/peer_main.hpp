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
/// `any_size` and `any_thread` choose the workloads that apply; others print nothing.
template <class Peer>
int run(int count, char** arguments) {
    if (count != 2) {
        std::fprintf(stderr, "usage: %s workload\n", arguments[0]);
        return 2;
    }
    Peer peer;
    const std::string workload = arguments[1];
    if (workload == "pairs") pairs(peer);
    if (workload == "batches") batches(peer);
    if constexpr (Peer::any_size) {
        if (workload == "large-pairs") large_pairs(peer);
        if (workload == "churn") churn(peer);
        if (workload == "overhead") overhead(peer);
        if (workload == "bursts") bursts(peer);
    }
    if constexpr (Peer::any_thread) {
        if (workload == "scaling") scaling(peer);
        if (workload == "hand-over") producer_and_consumer(peer);
    }
    return 0;
}

}  // namespace benchmark
