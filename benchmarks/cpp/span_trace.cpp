// A seeded trace of large blocks of ever changing sizes, every page of each written, through the
// bank of spans and through malloc, glibc's and others' (preloaded). What counts is how much more
// memory than the live blocks' a process holds at its peak, and how often a page is faulted in.
//
//     span_trace            a table of all that is installed
//     span_trace NAME       one line, for the allocator of this name in this process
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "pools/moving/span_mover.hpp"
#include "pools/span/span_pool.hpp"

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr std::size_t page = 4096;
constexpr std::size_t requests = 2000;
constexpr std::size_t most_live = 600 * mebibyte;

struct Step {
    std::size_t bytes;
    /// Which of the live blocks is freed when there is no room; drawn modulo their number.
    std::vector<std::uint64_t> victims;
};

/// Sizes of 1 to 200 MiB around a middle that drifts through the whole of that range and back.
std::vector<Step> make_trace() {
    std::mt19937_64 random{20240607};
    std::uniform_real_distribution<double> unit;
    std::vector<Step> trace(requests);
    for (std::size_t i = 0; i < requests; ++i) {
        const double phase = 0.5 - 0.5 * std::cos(static_cast<double>(i) * 2 * 3.14159265 / 700);
        const double middle = std::pow(200.0, phase);
        const double size = std::clamp(middle * std::pow(4.0, unit(random) - 0.5), 1.0, 200.0);
        trace[i].bytes = static_cast<std::size_t>(size * mebibyte);
        for (int k = 0; k < 8; ++k) trace[i].victims.push_back(random());
    }
    return trace;
}

std::size_t resident_bytes() {
    std::FILE* const file = std::fopen("/proc/self/statm", "r");
    unsigned long total = 0;
    unsigned long resident = 0;
    if (std::fscanf(file, "%lu %lu", &total, &resident) != 2) std::abort();
    std::fclose(file);
    return resident * page;
}

std::size_t minor_faults() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::size_t>(usage.ru_minflt);
}

struct Block {
    std::byte* start;
    std::size_t bytes;
};

template <class Acquire, class Release>
void run(const char* name, Acquire acquire, Release release) {
    const std::vector<Step> trace = make_trace();
    std::vector<Block> live;
    live.reserve(2000);
    std::size_t live_bytes = 0;
    std::size_t peak_live = 0;
    std::size_t peak_resident = 0;
    const std::size_t resident_before = resident_bytes();
    const std::size_t faults_before = minor_faults();
    double allocating = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (const Step& step : trace) {
        const auto start = std::chrono::steady_clock::now();
        for (std::size_t k = 0; live_bytes + step.bytes > most_live; ++k) {
            const std::size_t victim = step.victims[k % step.victims.size()] % live.size();
            release(live[victim]);
            live_bytes -= live[victim].bytes;
            live[victim] = live.back();
            live.pop_back();
        }
        const Block block{acquire(step.bytes), step.bytes};
        if (block.start == nullptr) std::abort();
        allocating +=
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        for (std::size_t i = 0; i < block.bytes; i += page) block.start[i] = std::byte{1};
        live.push_back(block);
        live_bytes += block.bytes;
        peak_live = std::max(peak_live, live_bytes);
        peak_resident = std::max(peak_resident, resident_bytes() - resident_before);
    }
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    const auto ratio = [](std::size_t a, std::size_t b) {
        return static_cast<double>(a) / static_cast<double>(b);
    };
    std::printf("%-24s %10.3f %12.3f %9.2f s %12.1f ms\n", name, ratio(peak_resident, peak_live),
                ratio(minor_faults() - faults_before, peak_live / page), time.count(),
                allocating * 1e3);
}

void run_bank(const char* name, const numpool::pools::SpanBankOptions& options) {
    const numpool::pages::Tag tag = numpool::pages::page_map.register_pool();
    numpool::pools::SpanBank bank{options, tag};
    numpool::pools::SpanPool pool{bank};
    run(
        name, [&](std::size_t bytes) { return pool.acquire(bytes); },
        [&](const Block& block) { pool.release(block.start); });
    if (std::getenv("SPAN_TRACE_FIGURES") != nullptr) {
        const auto figures = bank.figures();
        std::printf("    MiB: fresh %zu, moved %zu, purged %zu, cached %zu, mapped %zu\n",
                    figures.acquired_cold / mebibyte, figures.moved / mebibyte,
                    figures.purged / mebibyte, figures.cached / mebibyte,
                    figures.mapped / mebibyte);
    }
    bank.check();
}

void run_one(const std::string& name) {
    numpool::pools::SpanBankOptions options{.moving = numpool::pools::move_pages};
    if (name == "numpool") return run_bank(name.c_str(), options);
    if (name == "numpool, 4 KiB pages") {
        options.huge_pages = false;
        return run_bank(name.c_str(), options);
    }
    if (name == "numpool, nothing moves") {
        options.moving = nullptr;
        return run_bank(name.c_str(), options);
    }
    if (name == "glibc, mallopt") {
        mallopt(M_MMAP_MAX, 0);
        mallopt(M_TRIM_THRESHOLD, -1);
        mallopt(M_TOP_PAD, 64 * mebibyte);
    }
    run(
        name.c_str(), [](std::size_t bytes) { return static_cast<std::byte*>(std::malloc(bytes)); },
        [](const Block& block) { std::free(block.start); });
}

void run_child(const char* program, const char* name, const char* library) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        if (library != nullptr) setenv("LD_PRELOAD", library, 1);
        execl(program, program, name, nullptr);
        _exit(127);
    }
    waitpid(child, nullptr, 0);
}

const char* installed(const char* library) {
    static std::string path;
    path = std::string{"/usr/lib/x86_64-linux-gnu/"} + library;
    return access(path.c_str(), R_OK) == 0 ? path.c_str() : nullptr;
}

}  // namespace

int main(int count, char** arguments) {
    if (count > 1) {
        run_one(arguments[1]);
        return 0;
    }
    std::printf("%zu blocks of 1-200 MiB, at most %zu MiB live, every page written\n", requests,
                most_live / mebibyte);
    std::printf("%-24s %10s %12s %11s %15s\n", "", "peak RSS /", "faults /", "in all",
                "allocating");
    std::printf("%-24s %10s %12s\n", "", "peak live", "its pages");
    const char* const program = "/proc/self/exe";
    run_child(program, "numpool", nullptr);
    run_child(program, "numpool, 4 KiB pages", nullptr);
    run_child(program, "numpool, nothing moves", nullptr);
    run_child(program, "glibc", nullptr);
    run_child(program, "glibc, mallopt", nullptr);
    for (const auto& [name, library] : {std::pair{"mimalloc", "libmimalloc.so.2"},
                                        {"jemalloc", "libjemalloc.so.2"},
                                        {"tcmalloc", "libtcmalloc_minimal.so.4"}}) {
        if (const char* const path = installed(library)) {
            run_child(program, name, path);
        } else {
            std::printf("%-24s not installed\n", name);
        }
    }
}
