#include "pages/system/memory_limit.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "base/size.hpp"
#include "pages/system/system_file.hpp"

namespace numpool::pages {
namespace {

std::size_t physical_memory() {
    const auto count = sysconf(_SC_PHYS_PAGES);
    const auto size = sysconf(_SC_PAGESIZE);
    if (count <= 0 || size <= 0) return max_size;
    return static_cast<std::size_t>(count) * static_cast<std::size_t>(size);
}

std::size_t resource_limit(decltype(RLIMIT_AS) resource) {
    rlimit limit{};
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return max_size;
    return std::min<std::size_t>(limit.rlim_cur, max_size);
}

/// The number in a cgroup's file. "max", or a missing file, is no limit.
std::size_t limit_in_file(const std::string& path) {
    const std::string text = read_system_file(path.c_str());
    std::size_t limit = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), limit).ec != std::errc{}) {
        return max_size;
    }
    return std::min(limit, max_size);
}

/// A cgroup's limit also applies to the groups below it. So this is the smallest limit on the way
/// to the root.
std::size_t limit_up_to_root(const std::string& root, std::string group, const char* file) {
    std::size_t limit = max_size;
    for (;;) {
        limit = std::min(limit, limit_in_file(root + group + "/" + file));
        const auto slash = group.rfind('/');
        if (slash == std::string::npos) return limit;
        group.erase(slash);
    }
}

/// The lines of /proc/self/cgroup are "id:controllers:/path". Version 2 has no controllers.
std::size_t cgroup_limit() {
    std::size_t limit = max_size;
    const std::string groups = read_system_file("/proc/self/cgroup");
    for (std::size_t start = 0, end = 0; start < groups.size(); start = end + 1) {
        end = std::min(groups.find('\n', start), groups.size());
        const std::string line = groups.substr(start, end - start);
        const auto first = line.find(':');
        const auto second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        // With a comma before and behind each controller.
        std::string controllers = line.substr(first, second - first + 1);
        std::replace(controllers.begin(), controllers.end(), ':', ',');
        const std::string group = line.substr(second + 1);
        if (controllers == ",,") {
            limit = std::min(limit, limit_up_to_root("/sys/fs/cgroup", group, "memory.max"));
        } else if (controllers.find(",memory,") != std::string::npos) {
            limit = std::min(
                limit, limit_up_to_root("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
        }
    }
    return limit;
}

}  // namespace

std::size_t memory_limit() noexcept try {
    return std::min({physical_memory(), cgroup_limit(), resource_limit(RLIMIT_AS),
                     resource_limit(RLIMIT_DATA)});
} catch (...) {
    return physical_memory();
}

}  // namespace numpool::pages
