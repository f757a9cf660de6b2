#include "threads/realtime/step_log.hpp"

#include <sys/mman.h>

#include <chrono>
#include <thread>

#include "testing.hpp"

namespace {

using namespace numpool;
using namespace numpool::threads;

/// Touches so many new pages.
void fault(int count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * 4096;
    void* const memory =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(memory, bytes, MADV_NOHUGEPAGE);
    for (std::size_t at = 0; at < bytes; at += 4096) static_cast<volatile char*>(memory)[at] = 1;
    munmap(memory, bytes);
}

TEST("the faults of each step are counted, and those between steps are not") {
    StepLog log{0};
    log.begin();
    fault(10);
    CHECK(log.end().minor >= 10);
    const auto so_far = log.faults().minor;
    fault(10);
    log.begin();
    log.end();
    CHECK_EQUAL(log.steps(), 2U);
    CHECK_EQUAL(log.faulty_steps(), 1U);
    CHECK_EQUAL(log.faults().minor, so_far);
}

TEST("the steps of the warm-up are not counted") {
    StepLog log{2};
    for (int i = 0; i < 3; ++i) {
        log.begin();
        CHECK_EQUAL(log.counts(), i == 2);
        if (i < 2) fault(5);
        CHECK_EQUAL(log.end().all(), 0U);
    }
    CHECK_EQUAL(log.steps(), 1U);
    CHECK_EQUAL(log.times().size(), 1U);
}

TEST("a time is known to within a 32nd") {
    StepLog log{0};
    log.begin();
    std::this_thread::sleep_for(std::chrono::microseconds{100});
    log.end();
    const auto times = log.times();
    CHECK_EQUAL(times.size(), 1U);
    CHECK_EQUAL(times[0].steps, 1U);
    CHECK(log.longest() >= 100'000);
    CHECK(times[0].nanoseconds <= log.longest());
    CHECK(times[0].nanoseconds + times[0].nanoseconds / 31 > log.longest());
}

TEST("a child's faults begin at 0, and no difference is negative") {
    const pages::PageFaults faults = pages::PageFaults{3, 0} - pages::PageFaults{100, 0};
    CHECK_EQUAL(faults.minor, 3U);
}

}  // namespace
