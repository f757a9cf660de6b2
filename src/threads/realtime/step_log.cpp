#include "threads/realtime/step_log.hpp"

#include <algorithm>
#include <bit>
#include <chrono>

namespace numpool::threads {
namespace {

std::uint64_t nanoseconds_now() noexcept {
    return static_cast<std::uint64_t>(
        std::chrono::nanoseconds{std::chrono::steady_clock::now().time_since_epoch()}.count());
}

}  // namespace

// Buckets 0 to 63 are single nanoseconds. Above, each doubling has 32 buckets.
std::size_t StepLog::bucket_of(std::uint64_t nanoseconds) noexcept {
    const std::uint64_t value = std::min(nanoseconds, largest - 1);
    if (value < parts) return value;
    const auto doubling = static_cast<std::size_t>(std::bit_width(value)) - 6;
    return doubling * parts + (value >> doubling);
}

std::uint64_t StepLog::start_of(std::size_t bucket) noexcept {
    if (bucket < 2 * parts) return bucket;
    const std::size_t doubling = bucket / parts - 1;
    return static_cast<std::uint64_t>(bucket - doubling * parts) << doubling;
}

void StepLog::begin() noexcept {
    in_step_ = true;
    faults_before_ = pages::faults_of_thread();
    began_ = nanoseconds_now();
}

pages::PageFaults StepLog::end() noexcept {
    const std::uint64_t took = nanoseconds_now() - began_;
    const pages::PageFaults faults = pages::faults_of_thread() - faults_before_;
    in_step_ = false;
    if (warm_up_left_ != 0) {
        --warm_up_left_;
        return {};
    }
    ++steps_;
    ++buckets_[bucket_of(took)];
    longest_ = std::max(longest_, took);
    faults_.minor += faults.minor;
    faults_.major += faults.major;
    if (faults.all() != 0) ++faulty_steps_;
    return faults;
}

std::vector<StepLog::Bucket> StepLog::times() const {
    std::vector<Bucket> all;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        if (buckets_[i] != 0) all.push_back({start_of(i), buckets_[i]});
    }
    return all;
}

}  // namespace numpool::threads
