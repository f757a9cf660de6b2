#include "observe/sampler.hpp"

#include <algorithm>
#include <cmath>

namespace numpool::observe {
namespace {

/// The next number of SplitMix64, which needs no good seed.
std::uint64_t next(std::uint64_t& state) noexcept {
    state += 0x9E3779B97F4A7C15;
    std::uint64_t mixed = state;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    return mixed ^ (mixed >> 31);
}

}  // namespace

thread_local constinit Sampler::Thread Sampler::thread_{};
constinit std::atomic<std::uint32_t> Sampler::run_ = 0;
constinit std::atomic<std::size_t> Sampler::mean_ = 1;
constinit std::atomic<std::uint64_t> Sampler::seed_ = 0;

void Sampler::begin(std::size_t mean, std::uint64_t seed) noexcept {
    mean_.store(std::max<std::size_t>(mean, 1), std::memory_order_relaxed);
    seed_.store(seed, std::memory_order_relaxed);
    run_.fetch_add(1, std::memory_order_release);
}

double Sampler::weight(std::size_t bytes, std::size_t mean) noexcept {
    if (bytes >= mean) return 1;
    return -1 / std::expm1(-static_cast<double>(bytes) / static_cast<double>(mean));
}

/// What is left of a distance beyond the mean is again exponential, so it is drawn when it is due.
void Sampler::draw(Thread& thread, std::size_t mean) noexcept {
    const double share = static_cast<double>((next(thread.random) >> 11) + 1) * 0x1p-53;
    const double distance = std::ceil(-std::log(share) * static_cast<double>(mean));
    thread.due = distance <= static_cast<double>(mean);
    thread.left = thread.due ? std::max<std::size_t>(static_cast<std::size_t>(distance), 1) : mean;
}

[[gnu::noinline]] bool Sampler::takes_slow(std::size_t bytes) noexcept {
    Thread& thread = thread_;
    const std::uint32_t run = run_.load(std::memory_order_acquire);
    const std::size_t mean = mean_.load(std::memory_order_relaxed);
    if (thread.run != run) {
        thread.run = run;
        thread.random = seed_.fetch_add(0xD1B54A32D192ED03, std::memory_order_relaxed);
        draw(thread, mean);
    }
    if (bytes >= mean) {
        draw(thread, mean);
        return true;
    }
    std::size_t rest = bytes;
    while (rest >= thread.left) {
        rest -= thread.left;
        const bool due = thread.due;
        draw(thread, mean);
        if (due) return true;
    }
    thread.left -= rest;
    return false;
}

}  // namespace numpool::observe
