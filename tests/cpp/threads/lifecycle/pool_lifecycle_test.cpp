#include "threads/lifecycle/pool_lifecycle.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "base/error.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

/// The functions that the lifecycle has called.
struct Calls {
    std::string all;
};

/// A pool whose blocks are only counted.
class CountedPool final : public PoolLifecycle {
  public:
    CountedPool(Calls& calls, std::string name, PoolHandle<CountedPool> next = {})
        : PoolLifecycle{"CountedPool", std::move(name)}, calls_{calls}, next_{std::move(next)} {}

    void acquire() {
        const Lock lock{mutex_};
        require_open();
        ++blocks_;
    }
    void release(std::byte*, std::size_t = 0) noexcept override {
        Lock lock{mutex_};
        --blocks_;
        end_if_unused(lock);
    }
    PoolFigures figures() const override { return {}; }
    std::size_t trim() override { return 0; }
    void reset_peak() noexcept override {}
    void check() const override {}

  private:
    ~CountedPool() override { calls_.all += "destroyed "; }
    bool contains(const std::byte* address) const noexcept override { return address == &memory_; }
    bool has_live_blocks() const noexcept override { return blocks_ != 0; }
    void end_memory() noexcept override { calls_.all += "memory "; }
    void end_thread_caches() noexcept override { calls_.all += "caches "; }
    void last_handle_goes() noexcept override { calls_.all += "last "; }
    void pause_for_fork() noexcept override { calls_.all += "pause "; }
    void resume_after_fork() noexcept override { calls_.all += "resume "; }
    void forget_other_threads() noexcept override { calls_.all += "forget "; }

    Calls& calls_;
    PoolHandle<CountedPool> next_;
    std::size_t blocks_ = 0;
    std::byte memory_{};
};

}  // namespace

TEST("a closed pool refuses requests by its title, and ends its memory with its last block") {
    Calls calls;
    PoolHandle pool{new CountedPool{calls, "frames"}};
    CHECK_EQUAL(pool->title(), "CountedPool 'frames'");
    pool->acquire();
    pool->close();
    CHECK(pool->closed());
    CHECK_EQUAL(calls.all, "caches ");
    CHECK_THROWS(Closed, "CountedPool 'frames' is closed and takes no more requests",
                 pool->acquire());
    pool->release(nullptr);
    CHECK_EQUAL(calls.all, "caches memory ");
    pool = {};
    CHECK_EQUAL(calls.all, "caches memory last memory destroyed ");
}

TEST("a pool without handles stays until its last block comes back") {
    Calls calls;
    CountedPool* raw = nullptr;
    {
        const PoolHandle pool{new CountedPool{calls, ""}};
        CHECK_EQUAL(pool->title(), "CountedPool");
        raw = pool.get();
        pool->acquire();
        const PoolHandle second = pool;
    }
    CHECK_EQUAL(calls.all, "last ");
    CHECK(raw->add_handle_if_reachable());
    raw->drop_handle();
    raw->release(nullptr);
    CHECK_EQUAL(calls.all, "last last destroyed ");
}

TEST("a pool is not reachable before its first handle") {
    Calls calls;
    auto* const raw = new CountedPool{calls, ""};
    CHECK(!raw->add_handle_if_reachable());
    CHECK(!raw->add_handle_if_owns(nullptr));
    const PoolHandle pool{raw};
    CHECK(!pool->add_handle_if_owns(nullptr));
    CHECK(pool->add_handle_if_reachable());
    pool->drop_handle();
    CHECK_EQUAL(calls.all, "");
}

TEST("a fork pauses a pool, and the child forgets other threads") {
    Calls calls;
    const PoolHandle pool{new CountedPool{calls, ""}};
    const pid_t child = fork();
    if (child == 0) _exit(calls.all == "pause forget resume " ? 0 : 1);
    int status = 1;
    waitpid(child, &status, 0);
    CHECK_EQUAL(status, 0);
    CHECK_EQUAL(calls.all, "pause resume ");
}

TEST("a chain of 200,000 pools that hold each other ends without a deep stack") {
    Calls calls;
    PoolHandle<CountedPool> last;
    for (int i = 0; i < 200'000; ++i)
        last = PoolHandle{new CountedPool{calls, "", std::move(last)}};
    last = {};
    CHECK_EQUAL(calls.all.size(), 200'000 * std::string{"last destroyed "}.size());
}
