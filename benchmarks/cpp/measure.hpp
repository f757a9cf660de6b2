#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

namespace benchmark {

inline double nanoseconds_now() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<double>(std::chrono::nanoseconds{now}.count());
}

/// The compiler must believe that the block is used.
inline void use(void* block) {
    asm volatile("" : : "g"(block) : "memory");
}

/// A pointer whose target the compiler does not know: a call through it stays a call.
template <class Function>
Function* opaque(Function* function) {
    asm volatile("" : "+r"(function));
    return function;
}

inline std::size_t page_faults() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::size_t>(usage.ru_minflt);
}

inline std::size_t resident_bytes() {
    std::size_t total = 0;
    std::size_t resident = 0;
    if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%zu %zu", &total, &resident) != 2) resident = 0;
        std::fclose(file);
    }
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// The most that this program had. What getrusage says is the process's, and older: whatever
/// executed this program counts in it.
inline std::size_t peak_resident_bytes() {
    std::size_t kibibytes = 0;
    if (std::FILE* file = std::fopen("/proc/self/status", "r")) {
        char line[256];
        while (std::fgets(line, sizeof line, file) != nullptr) {
            if (std::sscanf(line, "VmHWM: %zu kB", &kibibytes) == 1) break;
        }
        std::fclose(file);
    }
    return kibibytes * 1024;
}

/// Has the kernel take what is resident now for the peak so far. False where it does not.
inline bool forget_peak() {
    std::FILE* const file = std::fopen("/proc/self/clear_refs", "w");
    if (file == nullptr) return false;
    const bool written = std::fputs("5", file) >= 0;
    return std::fclose(file) == 0 && written;
}

inline double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.empty() ? 0 : values[values.size() / 2];
}

/// Runs `work`, which does `operations` operations, a few times after a first one that warms up;
/// the median in ns an operation.
template <class Work>
double time_per_operation(std::size_t operations, Work work, int repeats = 5) {
    work();
    std::vector<double> times;
    for (int i = 0; i < repeats; ++i) {
        const double start = nanoseconds_now();
        work();
        times.push_back((nanoseconds_now() - start) / static_cast<double>(operations));
    }
    return median(times);
}

/// The line that the driver reads.
inline void report(const std::string& metric, double value) {
    std::printf("%s\t%.4f\n", metric.c_str(), value);
}

/// A generator whose cost vanishes beside an allocation's.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_{seed * 0x9E3779B97F4A7C15U + 1} {}
    std::uint64_t next() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_;
    }
    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }

  private:
    std::uint64_t state_;
};

}  // namespace benchmark
