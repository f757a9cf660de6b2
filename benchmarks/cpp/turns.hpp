#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

/// Contenders in one program that take turns: medians of many short rounds.
namespace turns {

/// Tells the compiler that somebody looks at what this points to.
inline void use(const void* block) {
    asm volatile("" : : "g"(block) : "memory");
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
                const auto start = std::chrono::steady_clock::now();
                one.run();
                const std::chrono::duration<double, std::nano> time =
                    std::chrono::steady_clock::now() - start;
                one.nanoseconds.push_back(time.count() / static_cast<double>(times_));
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
