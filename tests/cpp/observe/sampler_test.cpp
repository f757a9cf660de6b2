#include "observe/sampler.hpp"

#include <array>
#include <cmath>
#include <thread>
#include <vector>

#include "testing.hpp"

using namespace numpool::observe;

namespace {

constexpr std::size_t mean = 4096;

/// How far the estimate of the bytes requested in blocks of this size is off, as a share.
double error_for(std::size_t bytes, int requests) {
    double estimate = 0;
    for (int i = 0; i < requests; ++i) {
        if (Sampler::takes(bytes)) estimate += Sampler::weight(bytes, mean);
    }
    return std::abs(estimate / requests - 1);
}

}  // namespace

TEST("the weighted samples add up to what was requested, for small and for large blocks") {
    Sampler::begin(mean, 7);
    CHECK(error_for(16, 1 << 20) < 0.05);
    CHECK(error_for(1000, 1 << 16) < 0.03);
    CHECK(error_for(4000, 1 << 14) < 0.03);
    CHECK_EQUAL(error_for(4096, 1000), 0);
    CHECK_EQUAL(error_for(std::size_t{1} << 40, 1000), 0);
}

TEST("sizes that take turns do not disturb each other's estimate") {
    constexpr std::array<std::size_t, 4> sizes{24, 900, 3000, 10000};
    constexpr int rounds = 1 << 16;
    std::array<double, sizes.size()> estimates{};
    Sampler::begin(mean, 3);
    for (int round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            if (Sampler::takes(sizes[i])) estimates[i] += Sampler::weight(sizes[i], mean);
        }
    }
    CHECK(std::abs(estimates[0] / rounds - 1) < 0.2);  // Of 1.5 MiB a few hundred samples.
    for (std::size_t i = 1; i < sizes.size(); ++i)
        CHECK(std::abs(estimates[i] / rounds - 1) < 0.03);
}

TEST("a block of no bytes is never sampled, and the largest number is sampled at once") {
    Sampler::begin(mean, 1);
    for (int i = 0; i < 100000; ++i) CHECK(!Sampler::takes(0));
    CHECK(Sampler::takes(~std::size_t{0}));
}

TEST("equal seeds choose the same requests, and a new beginning forgets the distance") {
    const auto chosen = [](std::uint64_t seed) {
        Sampler::begin(mean, seed);
        std::vector<int> all;
        for (int i = 0; i < 10000; ++i) {
            if (Sampler::takes(100)) all.push_back(i);
        }
        return all;
    };
    const std::vector<int> first = chosen(5);
    CHECK(first.size() > 150);
    Sampler::begin(std::size_t{1} << 40, 0);
    CHECK(!Sampler::takes(100));
    CHECK(chosen(5) == first);
    CHECK(chosen(6) != first);
}

TEST("two threads draw different distances") {
    Sampler::begin(mean, 5);
    const auto chosen = [](std::vector<int>& all) {
        for (int i = 0; i < 10000; ++i) {
            if (Sampler::takes(100)) all.push_back(i);
        }
    };
    std::vector<int> here;
    std::vector<int> there;
    std::thread other{[&] { chosen(there); }};
    other.join();
    chosen(here);
    CHECK(!there.empty());
    CHECK(here != there);
}
