#include "observe/profile.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#include "observe/profiled_functions.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::observe;
using namespace numpool::threads;

namespace {

constexpr int mean = 4096;

/// What the surroundings tell: the place of the calling thread.
thread_local Frame place_now{};
const int one_function = 0;
const int another_function = 0;

constexpr Surroundings surroundings{
    .stack = [](std::span<Frame> frames) noexcept -> std::size_t {
        if (place_now.code == nullptr) return 0;
        frames[0] = place_now;
        frames[1] = {&another_function, 99};
        return 2;
    },
    .keep = [](std::span<const Frame>) noexcept { return std::optional<std::uint32_t>{0}; },
    .place = []() noexcept { return place_now; },
};

/// A pool as a hook uses it, in a profile.
struct Profiled {
    explicit Profiled(const SharedSlabPoolOptions& options = {}, std::size_t distance = mean)
        : pool{SharedSlabPool::create(options)}, pools{*pool, {}} {
        place_now = {&one_function, 1};
        Profile::instance().begin(distance, 1, surroundings);
        table = profiled_functions<false>(&pools);
    }
    ~Profiled() { Profile::instance().end(); }

    void* malloc(std::size_t bytes) { return table.malloc(table.context, bytes); }
    void* calloc(std::size_t bytes) { return table.calloc(table.context, 1, bytes); }
    void* realloc(void* block, std::size_t bytes) {
        return table.realloc(table.context, block, bytes);
    }
    void free(void* block, std::size_t bytes) { table.free(table.context, block, bytes); }

    PoolHandle<SharedSlabPool> pool;
    PoolWithFallback pools;
    AllocatorTable table{};
};

/// The figures of the site whose innermost frame has this instruction.
Site site_at(int instruction) {
    const ProfileSnapshot all = Profile::instance().snapshot();
    for (std::uint32_t i = 0; i < all.sites.size(); ++i) {
        const auto frames = all.stacks.frames_of(i);
        if (!frames.empty() && frames[0].instruction == instruction) return all.sites[i];
    }
    return {};
}

bool is_near(double estimate, double exact, double share = 0.05) {
    return std::abs(estimate - exact) <= share * exact;
}

}  // namespace

TEST("blocks of at least the mean distance are counted exactly") {
    Profiled program;
    void* const first = program.malloc(1 << 20);
    void* const second = program.calloc(mean);
    CHECK_EQUAL(Profile::instance().figures().live_bytes, (1 << 20) + mean);
    program.free(first, 1 << 20);
    CHECK_EQUAL(Profile::instance().figures().live_bytes, mean);
    CHECK_EQUAL(Profile::instance().figures().peak_bytes, (1 << 20) + mean);
    program.free(second, mean);
    const Site site = site_at(1);
    CHECK_EQUAL(site.live_bytes, 0);
    CHECK_EQUAL(site.live_blocks, 0);
    CHECK_EQUAL(site.total_bytes, (1 << 20) + mean);
    CHECK_EQUAL(site.ended_blocks, 2);
    program.pool->check();
}

TEST("live bytes of small blocks are estimated while they come and go") {
    Profiled program;
    std::vector<void*> kept;
    for (int i = 0; i < 200000; ++i) {
        place_now = {&one_function, i % 4};
        void* const block = program.malloc(200);
        if (i % 4 == 0) {
            kept.push_back(block);
        } else {
            program.free(block, 200);
        }
    }
    const double exact = 200.0 * static_cast<double>(kept.size());
    CHECK(is_near(site_at(0).live_bytes, exact));
    CHECK(is_near(site_at(1).total_bytes, exact));
    CHECK(std::abs(site_at(1).live_bytes) < 1);
    for (void* const block : kept) program.free(block, 200);
    CHECK(std::abs(Profile::instance().figures().live_bytes) < 1);
    CHECK(is_near(site_at(0).peak_bytes, exact));
    program.pool->check();
}

TEST("every site has what it held at the peak of all") {
    Profiled program;
    place_now = {&one_function, 1};
    void* const early = program.malloc(100 << 10);
    place_now = {&one_function, 2};
    void* const large = program.malloc(1 << 20);
    place_now = {&one_function, 3};
    program.free(large, 1 << 20);
    program.free(early, 100 << 10);
    void* const late = program.malloc(200 << 10);
    CHECK_EQUAL(site_at(1).peak_bytes, 100 << 10);
    CHECK_EQUAL(site_at(2).peak_bytes, 1 << 20);
    CHECK_EQUAL(site_at(3).peak_bytes, 0);
    void* const larger = program.malloc(2 << 20);
    CHECK_EQUAL(site_at(1).peak_bytes, 0);
    CHECK_EQUAL(site_at(3).peak_bytes, (2 << 20) + (200 << 10));
    program.free(late, 200 << 10);
    program.free(larger, 2 << 20);
}

TEST("a sampled block of a few bytes keeps its contents, is zeroed on request, and may grow") {
    Profiled program{{}, 1};
    auto* block = static_cast<char*>(program.calloc(100));
    CHECK(std::all_of(block, block + 100, [](char byte) { return byte == 0; }));
    std::memset(block, 7, 100);
    for (const std::size_t bytes : {200u, 5000u, 100000u, 300u, 50u}) {
        block = static_cast<char*>(program.realloc(block, bytes));
        CHECK(std::all_of(block, block + 50, [](char byte) { return byte == 7; }));
        CHECK_EQUAL(Profile::instance().figures().live_bytes, static_cast<double>(bytes));
    }
    program.free(block, 50);
    CHECK_EQUAL(Profile::instance().figures().live_bytes, 0);
    CHECK_EQUAL(Profile::instance().figures().total_blocks, 6);
    CHECK_EQUAL(program.pool->figures().blocks, std::size_t{0});
    program.pool->check();
}

TEST("a block that cannot grow stays in the profile") {
    SharedSlabPoolOptions options;
    options.spans.limit = 1 << 20;
    Profiled program{options};
    void* const block = program.malloc(256 << 10);
    CHECK(program.realloc(block, 4 << 20) == nullptr);
    CHECK(program.malloc(4 << 20) == nullptr);
    CHECK_EQUAL(Profile::instance().figures().live_bytes, 256 << 10);
    program.free(block, 256 << 10);
    CHECK_EQUAL(Profile::instance().figures().live_bytes, 0);
}

TEST("a pool that wipes, and blocks whose release names a wrong size, are followed too") {
    SharedSlabPoolOptions options;
    options.wipe = true;
    Profiled program{options, 1};
    void* const small = program.malloc(64);
    void* const large = program.malloc(1 << 20);
    program.free(small, 0);
    program.free(large, 3);
    CHECK_EQUAL(Profile::instance().figures().live_bytes, 0);
    program.pool->check();
}

TEST("the plain functions release sampled blocks, and a profile ends with blocks alive") {
    Profiled program{{}, 1};
    const AllocatorTable plain = allocator_functions<false>(&program.pools);
    void* const early = program.malloc(40);
    void* const late = program.malloc(40);
    plain.free(plain.context, early, 40);
    Profile::instance().end();
    program.free(late, 40);
    void* const later = program.malloc(40);
    CHECK_EQUAL(Profile::instance().figures().total_bytes, 80);
    program.free(later, 40);
    CHECK_EQUAL(program.pool->figures().blocks, std::size_t{0});
}

TEST("where a block ends in its own function, the instruction is counted") {
    Profiled program;
    void* const first = program.malloc(mean);
    void* const second = program.malloc(mean);
    place_now = {&one_function, 5};
    program.free(first, mean);
    place_now = {&another_function, 5};
    program.free(second, mean);
    const Site site = site_at(1);
    CHECK_EQUAL(site.endings.size(), std::size_t{1});
    CHECK_EQUAL(site.endings[0].instruction, 5);
    CHECK_EQUAL(site.endings[0].bytes, mean);
    CHECK(site.seconds >= 0);
}

TEST("code without a frame counts as native") {
    Profiled program;
    place_now = {};
    void* const block = program.malloc(mean);
    CHECK_EQUAL(Profile::instance().snapshot().sites[StackTable::native].live_bytes, mean);
    program.free(block, mean);
}

TEST("stacks beyond the largest number count as one other") {
    Profiled program;
    constexpr int stacks = static_cast<int>(StackTable::most_stacks) + 100;
    for (int i = 0; i < stacks; ++i) {
        place_now = {&one_function, i};
        program.free(program.malloc(mean), mean);
    }
    const ProfileSnapshot all = Profile::instance().snapshot();
    CHECK_EQUAL(all.sites.size(), StackTable::most_stacks);
    CHECK_EQUAL(all.sites[StackTable::other].total_blocks, 102);
    CHECK_EQUAL(all.figures.total_blocks, stacks);
}

TEST("a mark has the peak since the mark before it") {
    Profiled program;
    void* const kept = program.malloc(mean);
    program.free(program.malloc(1 << 20), 1 << 20);
    CHECK_EQUAL(Profile::instance().mark().recent_peak, (1 << 20) + mean);
    CHECK_EQUAL(Profile::instance().mark().recent_peak, mean);
    program.free(kept, mean);
}

TEST("threads that pass blocks to each other leave nothing live") {
    Profiled program{{}, 256};
    std::vector<std::atomic<void*>> shelf(64);
    const auto work = [&](unsigned seed) {
        place_now = {&one_function, static_cast<int>(seed)};
        for (unsigned i = 0; i < 50000; ++i) {
            const std::size_t slot = (i * 7919 + seed * 31) % shelf.size();
            void* const mine = program.malloc(100 + slot);
            if (void* const other = shelf[slot].exchange(mine)) program.free(other, 100 + slot);
        }
    };
    std::vector<std::thread> all;
    for (unsigned i = 0; i < 4; ++i) all.emplace_back(work, i);
    for (std::thread& one : all) one.join();
    for (std::size_t slot = 0; slot < shelf.size(); ++slot)
        program.free(shelf[slot].load(), 100 + slot);
    CHECK(std::abs(Profile::instance().figures().live_bytes) < 1);
    CHECK(is_near(Profile::instance().figures().total_blocks, 200000));
    program.pool->check();
}

TEST("a forked child goes on with the profile") {
    Profiled program;
    void* const block = program.malloc(mean);
    const pid_t child = fork();
    if (child == 0) {
        program.free(block, mean);
        void* const own = program.malloc(2 * mean);
        _exit(own != nullptr && Profile::instance().figures().live_bytes == 2 * mean ? 0 : 1);
    }
    int status = 1;
    waitpid(child, &status, 0);
    CHECK_EQUAL(status, 0);
    CHECK_EQUAL(Profile::instance().figures().live_bytes, mean);
    program.free(block, mean);
}
