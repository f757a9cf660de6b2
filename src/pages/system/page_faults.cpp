#include "pages/system/page_faults.hpp"

#include <sys/resource.h>

namespace numpool::pages {

PageFaults faults_of_thread() noexcept {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return {static_cast<std::uint64_t>(usage.ru_minflt),
            static_cast<std::uint64_t>(usage.ru_majflt)};
}

PageFaults operator-(const PageFaults& now, const PageFaults& then) noexcept {
    const auto since = [](std::uint64_t later, std::uint64_t earlier) {
        return later >= earlier ? later - earlier : later;
    };
    return {since(now.minor, then.minor), since(now.major, then.major)};
}

}  // namespace numpool::pages
