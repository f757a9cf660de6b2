#include "base/gate/backoff.hpp"

#include <algorithm>
#include <chrono>

#include "testing.hpp"

using numpool::Backoff;
using Clock = std::chrono::steady_clock;

TEST("after some yields a pause sleeps, so that a thread with a lower priority can run") {
    Backoff backoff;
    for (int i = 0; i < Backoff::usual_yields; ++i) backoff.pause();
    for (long nap = Backoff::first_nap; nap < 20 * Backoff::longest_nap; nap *= 2) {
        const auto start = Clock::now();
        backoff.pause();
        const std::chrono::nanoseconds least{std::min(nap, Backoff::longest_nap)};
        CHECK(Clock::now() - start >= least);
    }
}
