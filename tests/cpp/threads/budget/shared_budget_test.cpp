#include "threads/budget/shared_budget.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "testing.hpp"
#include "threads/buddy/shared_buddy_pool.hpp"
#include "threads/fixed/shared_fixed_pool.hpp"
#include "threads/lifecycle/pool_pages.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;

PoolHandle<SharedSlabPool> slabs() {
    SharedSlabPoolOptions options;
    options.name = "slabs";
    return SharedSlabPool::create(options);
}

SharedBudgetOptions limited(std::size_t limit, const char* name = "load") {
    return {.limit = limit, .name = name};
}

/// Counts its crossings of the soft limit.
class Alarming final : public SharedBudget {
  public:
    static PoolHandle<Alarming> create(std::size_t soft, std::size_t limit, Pool& source) {
        return PoolHandle{new Alarming{soft, limit, source}};
    }
    std::atomic<int> crossings = 0;

  private:
    Alarming(std::size_t soft, std::size_t limit, Pool& source)
        : SharedBudget{{.limit = limit, .soft = soft, .name = "load"}, source, nullptr} {}
    void soft_crossed() noexcept override { ++crossings; }
};

}  // namespace

TEST("blocks count with the bytes that they take, until they are released") {
    const auto source = slabs();
    const auto budget = SharedBudget::create(limited(4 * mib), *source);
    std::byte* const small = budget->try_acquire(100);
    CHECK_EQUAL(budget->figures().in_use, 128U);
    std::byte* const large = budget->try_acquire_zeroed(mib + 1);
    CHECK_EQUAL(budget->figures().in_use, 128 + mib + 1);
    CHECK_EQUAL(budget->figures().blocks, 2U);
    CHECK_EQUAL(budget->figures().requests, 2U);
    CHECK_EQUAL(budget->figures().asked, 100 + mib + 1);
    CHECK(budget->owns(small) && source->owns(small));
    // A wrong size changes nothing: NumPy's sizes are hints.
    CHECK(budget->try_release(small, 7));
    CHECK(budget->try_release(large, 0));
    CHECK(budget->try_release(nullptr, 0));
    CHECK_EQUAL(budget->figures().in_use, 0U);
    CHECK_EQUAL(budget->figures().blocks, 0U);
    CHECK_EQUAL(budget->figures().peak, 128 + mib + 1);
    budget->reset_peak();
    CHECK_EQUAL(budget->figures().peak, 0U);
    budget->check();
}

TEST("a limit is exact, and a refusal leaves the source as it was") {
    const auto source = slabs();
    const auto budget = SharedBudget::create(limited(4 * mib), *source);
    std::byte* const block = budget->try_acquire(4 * mib);
    CHECK(block != nullptr);
    CHECK(budget->try_acquire(1) == nullptr);
    CHECK(budget->try_acquire_zeroed(mib) == nullptr);
    CHECK_EQUAL(source->figures().blocks, 1U);
    CHECK_EQUAL(budget->figures().failures, 2U);
    CHECK_EQUAL(budget->figures().peak, 4 * mib);
    CHECK(!budget->leaves_to_others(1));
    CHECK_EQUAL(budget->refusal(2048),
                "Budget 'load': 2048 bytes (2 KiB) requested, 4 MiB of a limit of 4 MiB in use; "
                "release arrays or raise the limit");
    CHECK_EQUAL(budget->refusal(5 * mib),
                "Budget 'load': 5242880 bytes (5 MiB) requested, 4 MiB of a limit of 4 MiB in use; "
                "that is more than the limit: raise the limit");
    budget->try_release(block, 4 * mib);
    CHECK(budget->try_acquire(~std::size_t{0}) == nullptr);
    const auto tiny = SharedBudget::create(limited(120), *source);
    CHECK(tiny->try_acquire(100) == nullptr);
    CHECK_EQUAL(tiny->refusal(100),
                "Budget 'load': 100 bytes requested, 0 bytes of a limit of 120 bytes in use; "
                "rounded up, that is more than the limit: raise the limit");
    budget->check();
}

TEST("what the source refuses is not counted, and the source says why") {
    SharedSlabPoolOptions options;
    options.name = "slabs";
    options.spans.limit = mib;
    const auto source = SharedSlabPool::create(options);
    const auto budget = SharedBudget::create(limited(4 * mib), *source);
    CHECK(budget->try_acquire(2 * mib) == nullptr);
    CHECK_EQUAL(budget->figures().in_use, 0U);
    CHECK_EQUAL(budget->figures().failures, 1U);
    CHECK_EQUAL(budget->figures().peak, 0U);
    CHECK(budget->refusal(2 * mib).starts_with("SlabPool 'slabs': 2097152 bytes"));
}

TEST("an inner budget counts against all outer ones, and either may refuse") {
    const auto source = slabs();
    const auto outer = SharedBudget::create(limited(4 * mib, "outer"), *source);
    const auto inner = SharedBudget::create(limited(2 * mib, "inner"), *outer);
    CHECK(&inner->bottom() == source.get());
    CHECK(inner->counts_against(*outer) && !outer->counts_against(*inner));
    std::byte* const first = inner->try_acquire(2 * mib);
    CHECK_EQUAL(outer->figures().in_use, 2 * mib);
    CHECK_EQUAL(outer->figures().blocks, 1U);
    CHECK(inner->try_acquire(mib) == nullptr);
    CHECK(inner->refusal(mib).starts_with("Budget 'inner'"));
    CHECK_EQUAL(outer->figures().failures, 0U);
    std::byte* const second = outer->try_acquire(2 * mib);
    inner->try_release(first, 2 * mib);
    std::byte* const third = outer->try_acquire(mib);
    CHECK(inner->try_acquire(2 * mib) == nullptr);
    CHECK(inner->refusal(2 * mib).starts_with("Budget 'outer'"));
    CHECK_EQUAL(inner->figures().in_use, 0U);
    CHECK_EQUAL(inner->figures().peak, 2 * mib);
    CHECK_EQUAL(outer->figures().peak, 4 * mib);
    CHECK_EQUAL(outer->figures().failures, 1U);
    outer->try_release(second, 0);
    outer->try_release(third, 0);
    CHECK_EQUAL(outer->figures().in_use, 0U);
}

TEST("a budget over one pool may count against the budget of another pool") {
    const auto source = slabs();
    const auto other = slabs();
    const auto outer = SharedBudget::create(limited(2 * mib, "outer"), *source);
    const auto inner = SharedBudget::create(limited(4 * mib, "inner"), *other, outer.get());
    std::byte* const block = inner->try_acquire(2 * mib);
    CHECK(other->owns(block) && !source->owns(block));
    CHECK_EQUAL(outer->figures().in_use, 2 * mib);
    CHECK(outer->try_acquire(64) == nullptr);
    inner->try_release(block, 2 * mib);
    CHECK_EQUAL(outer->figures().in_use, 0U);
}

TEST("very many budgets may be nested") {
    const auto source = slabs();
    std::vector<PoolHandle<SharedBudget>> all;
    all.push_back(SharedBudget::create(limited(mib), *source));
    while (all.size() < 100'000) all.push_back(SharedBudget::create(limited(mib), *all.back()));
    std::byte* const block = all.back()->try_acquire(64);
    CHECK_EQUAL(all.front()->figures().in_use, 64U);
    all.back()->try_release(block, 64);
    const PoolHandle<SharedBudget> innermost = all.back();
    const PoolHandle<SharedBudget> outermost = all.front();
    all.clear();
    CHECK_EQUAL(outermost->figures().blocks, 0U);
}

TEST("a block that grows or shrinks counts with its new size, and keeps it where that is refused") {
    const auto source = slabs();
    const auto budget = SharedBudget::create(limited(4 * mib), *source);
    std::byte* block = budget->try_reallocate(nullptr, 100);
    for (const std::size_t bytes : {std::size_t{128}, std::size_t{3000}, std::size_t{20'000}, mib,
                                    3 * mib, 70 * 1024UL, std::size_t{40'000}, std::size_t{10}}) {
        block = budget->try_reallocate(block, bytes);
        CHECK(block != nullptr);
        CHECK_EQUAL(budget->figures().in_use, budget->usable_size(block));
        CHECK_EQUAL(budget->figures().blocks, 1U);
    }
    std::memset(block, 7, 10);
    CHECK(budget->try_reallocate(block, 5 * mib) == nullptr);
    CHECK(block[9] == std::byte{7});
    CHECK_EQUAL(budget->figures().in_use, budget->usable_size(block));
    CHECK(budget->try_reallocate(&block, 64) == nullptr);
    budget->try_release(block, 10);
    CHECK_EQUAL(budget->figures().in_use, 0U);
}

TEST("a budget over a pool of another kind counts that pool's blocks") {
    SharedBuddyPoolOptions options;
    options.capacity = 4 * mib;
    const auto source = SharedBuddyPool::create(options);
    const auto budget = SharedBudget::create(limited(mib), *source);
    std::byte* block = budget->try_acquire(5000);
    CHECK_EQUAL(budget->figures().in_use, 8192U);
    block = budget->try_reallocate(block, 100'000);
    CHECK_EQUAL(budget->figures().in_use, 131'072U);
    block = budget->try_reallocate(block, 90'000);
    CHECK_EQUAL(budget->figures().in_use, budget->usable_size(block));
    // Its block would be of 1 MiB, more than the limit leaves.
    CHECK(budget->try_acquire(600'000) == nullptr);
    CHECK(budget->try_reallocate(block, 600'000) == nullptr);
    CHECK_EQUAL(source->figures().blocks, 1U);
    budget->try_release(block, 0);
    CHECK_EQUAL(budget->figures().in_use, 0U);
    CHECK(!budget->try_release(&block, 0));
}

TEST("each upward crossing of the soft limit is told once") {
    const auto source = slabs();
    const auto budget = Alarming::create(mib, 3 * mib, *source);
    std::byte* const first = budget->try_acquire(mib);
    CHECK_EQUAL(budget->crossings, 0);
    for (int i = 1; i <= 3; ++i) {
        std::byte* const second = budget->try_acquire(1000);
        std::byte* const third = budget->try_acquire(1000);
        CHECK_EQUAL(budget->crossings, i);
        budget->try_release(second, 1000);
        CHECK_EQUAL(budget->crossings, i);
        budget->try_release(third, 1000);
    }
    budget->try_release(first, mib);
    const auto inner = SharedBudget::create(limited(2 * mib, "inner"), *budget);
    inner->try_release(inner->try_acquire(mib + 1), 0);
    CHECK_EQUAL(budget->crossings, 4);
}

TEST("a stopped budget refuses above its soft limit until no more than that is in use") {
    const auto source = slabs();
    const auto budget = Alarming::create(mib, 3 * mib, *source);
    std::byte* const first = budget->try_acquire(2 * mib);
    budget->stop_at_soft("ValueError: enough");
    CHECK(budget->try_acquire(64) == nullptr);
    CHECK_EQUAL(
        budget->refusal(64),
        "Budget 'load': 64 bytes requested, 2 MiB of a limit of 3 MiB in use; since on_soft "
        "raised ValueError: enough, its soft limit of 1 MiB holds: release arrays");
    budget->try_release(first, 2 * mib);
    std::byte* const second = budget->try_acquire(2 * mib);
    CHECK(second != nullptr);
    CHECK_EQUAL(budget->crossings, 2);
    budget->try_release(second, 2 * mib);
    // Too late: nothing is to be stopped.
    budget->stop_at_soft("ValueError: enough");
    budget->try_release(budget->try_acquire(2 * mib), 0);
}

TEST("a closed budget refuses, also inside, and its blocks stay valid") {
    const auto source = slabs();
    const auto outer = SharedBudget::create(limited(mib, "outer"), *source);
    const auto inner = SharedBudget::create(limited(mib, "inner"), *outer);
    std::byte* const block = inner->try_acquire(100);
    outer->close();
    CHECK(inner->try_acquire(100) == nullptr);
    CHECK_EQUAL(inner->refusal(100), "Budget 'outer' is closed and takes no more requests");
    CHECK_THROWS(Closed, "Budget 'outer' is closed", outer->acquire(100));
    std::memset(block, 1, 100);
    inner->try_release(block, 100);
    CHECK(outer->try_acquire(100) == nullptr);
    CHECK_EQUAL(outer->figures().in_use, 0U);
}

TEST("a held block keeps the budget, and a budget keeps its source") {
    auto source = slabs();
    auto budget = SharedBudget::create(limited(mib), *source);
    SharedBudget* const same = budget.get();
    CHECK_THROWS(Exhausted, "that is more than the limit: raise the limit",
                 budget->acquire(2 * mib));
    std::byte* const block = budget->acquire(100);
    source = {};
    budget = {};
    std::memset(block, 1, 100);
    CHECK_EQUAL(same->figures().blocks, 1U);
    same->release(block, 100);
}

TEST("pools draw on a budget, within its limit") {
    const auto source = slabs();
    const auto budget = SharedBudget::create(limited(mib), *source);
    PoolPages pages{*budget};
    const pages::Extent extent = pages.map(mib / 2, 64);
    CHECK(extent);
    CHECK_EQUAL(budget->figures().in_use, extent.bytes);
    CHECK(!pages.map(mib / 2 + 1, 64));
    pages.unmap(extent);
    CHECK_EQUAL(budget->figures().in_use, 0U);
    CHECK_EQUAL(pages.refusal(), "its source Budget 'load' has 0 bytes of a limit of 1 MiB in use");
}

TEST("the age of a large block is known, from its last change of size") {
    const auto source = slabs();
    const auto budget = SharedBudget::create(limited(64 * mib), *source);
    std::byte* const small = budget->try_acquire(100);
    CHECK(!budget->age_of(small));
    std::byte* large = budget->try_acquire(mib);
    CHECK(!budget->age_of(small));
    CHECK(*budget->age_of(large) < 10'000);
    std::this_thread::sleep_for(std::chrono::milliseconds{60});
    CHECK(*budget->age_of(large) >= 50);
    large = budget->try_reallocate(large, 3 * mib);
    CHECK(*budget->age_of(large) < 50);
    // With very many blocks some are forgotten, and none gets a wrong time.
    std::vector<std::byte*> many;
    while (many.size() < 500) many.push_back(budget->try_acquire(100'000));
    const auto known = std::ranges::count_if(
        many, [&](const std::byte* one) { return budget->age_of(one).has_value(); });
    CHECK(known > 100);
    for (std::byte* const one : many) budget->try_release(one, 100'000);
    budget->try_release(large, 0);
    budget->try_release(small, 0);
}

TEST("threads never exceed a limit together, and no byte is lost") {
    const auto source = slabs();
    const auto outer = SharedBudget::create(limited(mib, "outer"), *source);
    const auto inner = SharedBudget::create(limited(mib * 3 / 4, "inner"), *outer);
    std::atomic<bool> exceeded = false;
    std::vector<std::thread> threads;
    for (unsigned seed = 1; seed <= 4; ++seed) {
        threads.emplace_back([&, seed] {
            std::mt19937 random{seed};
            SharedBudget& budget = seed % 2 == 0 ? *inner : *outer;
            std::vector<std::pair<std::byte*, std::size_t>> live;
            for (int i = 0; i < 20'000; ++i) {
                const std::size_t bytes = random() % (random() % 10 == 0 ? 200'000 : 2'000);
                if (random() % 2 == 0) {
                    if (std::byte* const block = budget.try_acquire(bytes))
                        live.emplace_back(block, bytes);
                } else if (!live.empty()) {
                    budget.try_release(live.back().first, live.back().second);
                    live.pop_back();
                }
                if (inner->figures().in_use > inner->limit() || outer->figures().in_use > mib)
                    exceeded = true;
            }
            for (const auto& [block, bytes] : live) budget.try_release(block, bytes);
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(!exceeded);
    for (const auto* budget : {inner.get(), outer.get()}) {
        CHECK_EQUAL(budget->figures().in_use, 0U);
        CHECK_EQUAL(budget->figures().blocks, 0U);
        CHECK(budget->figures().peak <= budget->limit());
    }
    source->check();
}
