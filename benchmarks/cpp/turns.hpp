#pragma once

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "measure.hpp"

/// Contenders in one program that take turns: medians of many short rounds, in the processor's time
/// of this thread, which other programs on the machine can't add to.
namespace turns {

/// The compiler must believe that what this points to is read.
inline void use(const void* block) {
    asm volatile("" : : "g"(block) : "memory");
}

inline double nanoseconds_now() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

class Contest {
  public:
    /// Each turn does `times` times what a contender does once.
    Contest(std::string title, std::size_t times) : title_{std::move(title)}, times_{times} {}

    template <class Once>
    void add(std::string name, Once once) {
        contenders_.push_back({std::move(name),
                               [once, times = times_]() mutable {
                                   for (std::size_t i = 0; i < times; ++i) once();
                               },
                               {}});
    }

    /// Prints medians, their ratio to the first contender's, and how far a first turn raises the
    /// peak of resident memory: before any was taken here, each takes one in a process of its own.
    void run() {
        // What any process takes that comes from a fork, the program's code for the most part.
        const long nothing = rise([] {});
        for (Contender& one : contenders_) {
            const long bytes = rise(one.run);
            one.peak = bytes < 0 ? bytes : std::max(0L, bytes - nothing);
        }
        for (int round = 0; round < rounds; ++round) {
            for (Contender& one : contenders_) {
                const double start = nanoseconds_now();
                one.run();
                one.nanoseconds.push_back((nanoseconds_now() - start) /
                                          static_cast<double>(times_));
            }
        }
        std::printf("%-46s %9s %9s %9s %9s\n", title_.c_str(), "ns", "spread", "x first",
                    "peak, KiB");
        double first = 0;
        for (Contender& one : contenders_) {
            std::sort(one.nanoseconds.begin(), one.nanoseconds.end());
            const double median = one.nanoseconds[rounds / 2];
            if (first == 0) first = median;
            const double spread = one.nanoseconds[rounds * 3 / 4] - one.nanoseconds[rounds / 4];
            std::printf("%-46s %9.2f %9.2f %9.2f ", one.name.c_str(), median, spread,
                        median / first);
            if (one.peak < 0) {
                std::printf("%9s\n", "unknown");
            } else {
                std::printf("%9ld\n", one.peak >> 10);
            }
        }
    }

  private:
    static constexpr int rounds = 41;

    struct Contender {
        std::string name;
        std::function<void()> run;
        std::vector<double> nanoseconds;
        long peak = -1;
    };

    /// Bytes; -1 where that can't be measured. What a contender set up when it was added, pools and
    /// tables, counts as far as its turn touches it for the first time.
    static long rise(const std::function<void()>& turn) {
        int ends[2];
        if (pipe(ends) != 0) return -1;
        std::fflush(stdout);
        const pid_t child = fork();
        if (child == 0) {
            long bytes = -1;
            if (benchmark::forget_peak()) {
                const std::size_t before = benchmark::peak_resident_bytes();
                turn();
                bytes = static_cast<long>(benchmark::peak_resident_bytes() - before);
            }
            const bool told = write(ends[1], &bytes, sizeof bytes) == sizeof bytes;
            _exit(told ? 0 : 1);
        }
        close(ends[1]);
        long bytes = -1;
        if (child < 0 || read(ends[0], &bytes, sizeof bytes) != sizeof bytes) bytes = -1;
        close(ends[0]);
        if (child > 0) waitpid(child, nullptr, 0);
        return bytes;
    }

    std::string title_;
    std::size_t times_;
    std::vector<Contender> contenders_;
};

}  // namespace turns
