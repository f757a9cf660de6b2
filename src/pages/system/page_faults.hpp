#pragma once

#include <cstdint>

namespace numpool::pages {

/// Page faults: `minor` ones found their page in memory or got a new one, `major` ones had to wait
/// for a disk.
struct PageFaults {
    std::uint64_t minor = 0;
    std::uint64_t major = 0;

    std::uint64_t all() const noexcept { return minor + major; }
};

/// All page faults that the calling thread has had so far.
PageFaults faults_of_thread() noexcept;

/// The faults from `then` to `now`. A forked child counts from 0 again.
PageFaults operator-(const PageFaults& now, const PageFaults& then) noexcept;

}  // namespace numpool::pages
