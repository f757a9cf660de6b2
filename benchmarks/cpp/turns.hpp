#pragma once

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

/// Contenders in one program that take turns: medians of many short rounds, in the processor's time
/// of this thread, which other programs on the machine can't add to.
namespace turns {

/// Tells the compiler that somebody looks at what this points to.
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

    /// Prints medians, and their ratio to the first contender's.
    void run() {
        for (int round = 0; round < rounds; ++round) {
            for (Contender& one : contenders_) {
                const double start = nanoseconds_now();
                one.run();
                one.nanoseconds.push_back((nanoseconds_now() - start) /
                                          static_cast<double>(times_));
            }
        }
        std::printf("%-46s %9s %9s %9s\n", title_.c_str(), "ns", "spread", "x first");
        double first = 0;
        for (Contender& one : contenders_) {
            std::sort(one.nanoseconds.begin(), one.nanoseconds.end());
            const double median = one.nanoseconds[rounds / 2];
            if (first == 0) first = median;
            const double spread = one.nanoseconds[rounds * 3 / 4] - one.nanoseconds[rounds / 4];
            std::printf("%-46s %9.2f %9.2f %9.2f\n", one.name.c_str(), median, spread,
                        median / first);
        }
    }

  private:
    static constexpr int rounds = 41;

    struct Contender {
        std::string name;
        std::function<void()> run;
        std::vector<double> nanoseconds;
    };

    std::string title_;
    std::size_t times_;
    std::vector<Contender> contenders_;
};

}  // namespace turns
