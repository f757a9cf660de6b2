#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "testing.hpp"
#include "threads/lifecycle/pool.hpp"

/// The common part of all pools' stress tests: threads do random operations on a pool, pass their
/// blocks to each other, and verify them before the release.
///
/// A test defines its `Users`: a `handle` on their pool, the `pool` itself, a `step` of one thread,
/// and `release_all`.
namespace numpool::threads::stress {

#if defined(__SANITIZE_THREAD__) || defined(NUMPOOL_CHECKS)
inline constexpr int pace = 20;
#else
inline constexpr int pace = 1;
#endif

/// The number of steps: `most` in a fast build, fewer where each step is checked.
constexpr int steps(int most) {
    return most / pace;
}

#if defined(__SANITIZE_ADDRESS__)
inline constexpr int forks = 0;  // its own allocator is not safe over fork, and hangs children
#else
inline constexpr int forks = 1000 / pace;
#endif

/// A live block in which every byte is the same.
struct Filled {
    std::byte* start = nullptr;
    std::size_t bytes = 0;
    unsigned char pattern = 0;

    Filled(std::byte* block, std::size_t size, unsigned char value)
        : start{block}, bytes{size}, pattern{value} {
        std::memset(start, pattern, bytes);
    }
    void verify() const {
        if (bytes == 0) return;
        CHECK_EQUAL(static_cast<unsigned>(*start), unsigned{pattern});
        CHECK(std::memcmp(start, start + 1, bytes - 1) == 0);
    }
};

/// Places where threads put things for each other.
template <class Thing>
class Exchange {
  public:
    Exchange() = default;
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    ~Exchange() {
        drain([](const Thing&) {});
    }

    /// Puts the thing, or null, into a random place, and returns what was there.
    std::unique_ptr<Thing> swap(std::mt19937& random, std::unique_ptr<Thing> thing) {
        return std::unique_ptr<Thing>{places_[random() % places_.size()].exchange(thing.release())};
    }
    template <class Act>
    void drain(Act act) {
        for (auto& place : places_) {
            const std::unique_ptr<Thing> thing{place.exchange(nullptr)};
            if (thing) act(*thing);
        }
    }

  private:
    std::array<std::atomic<Thing*>, 64> places_{};
};

/// Users of a pool that pass filled blocks to each other: everything but their `step`.
template <class SomePool>
struct FilledUsers {
    explicit FilledUsers(PoolHandle<SomePool> made) : handle{std::move(made)}, pool{handle.get()} {}

    void release(const Filled& block) {
        block.verify();
        pool->release(block.start, block.bytes);
    }
    void release_all() {
        exchange.drain([&](const Filled& block) { release(block); });
    }

    PoolHandle<SomePool> handle;
    SomePool* pool;
    Exchange<Filled> exchange;
};

/// Threads that repeat the same step, each with random numbers of its own.
class Crew {
  public:
    static constexpr int until_stopped = std::numeric_limits<int>::max();

    Crew() = default;
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;
    ~Crew() {
        stop();
        for (std::thread& thread : threads_) {
            if (thread.joinable()) thread.join();
        }
    }

    /// Starts threads. Each does so many steps, or fewer where its pool is closed.
    template <class Step>
    void add(int threads, int steps, Step step) {
        for (int i = 0; i < threads; ++i) {
            const auto seed = static_cast<unsigned>(threads_.size() + 1);
            ++busy_;
            threads_.emplace_back([this, steps, step, seed] {
                std::mt19937 random{seed};
                try {
                    for (int at = 0; at < steps && !stopped_; ++at) step(random);
                } catch (const Closed&) {
                } catch (...) {
                    const std::lock_guard lock{mutex_};
                    failure_ = std::current_exception();
                }
                --busy_;
            });
        }
    }
    bool busy() const { return busy_ != 0; }
    void stop() { stopped_ = true; }
    /// Throws the unexpected exception of a thread, if there was one.
    void join() {
        for (std::thread& thread : threads_) thread.join();
        if (failure_) std::rethrow_exception(failure_);
    }

  private:
    std::atomic<int> busy_ = 0;
    std::atomic<bool> stopped_ = false;
    std::mutex mutex_;
    std::exception_ptr failure_;
    std::vector<std::thread> threads_;
};

/// All blocks are back, and were counted.
template <class Users>
void end(Users& users) {
    users.release_all();
    CHECK_EQUAL(users.pool->figures().blocks, 0U);
    CHECK(users.pool->figures().hits <= users.pool->figures().requests);
    users.pool->check();
}

/// Threads use a pool while another trims, checks and reads figures, and more come and go.
template <class Users>
void use_amid_upkeep(Users& users, int steps) {
    const auto step = [&](std::mt19937& random) { users.step(random); };
    Crew crew;
    crew.add(3, steps, step);
    while (crew.busy()) {
        users.pool->trim();
        users.pool->check();
        CHECK(users.pool->figures().hits <= users.pool->figures().requests);
        Crew brief;
        brief.add(1, 4, step);
        brief.join();
        std::this_thread::yield();
    }
    crew.join();
    end(users);
}

/// Pools are closed while they are used, at different times. Live blocks stay valid.
template <class Users>
void close_amid_use(int rounds) {
    for (int round = 0; round < rounds; ++round) {
        Users users;
        Crew crew;
        crew.add(3, Crew::until_stopped, [&](std::mt19937& random) { users.step(random); });
        std::this_thread::sleep_for(std::chrono::microseconds{round % 100 * 10});
        users.pool->close();
        std::this_thread::yield();
        crew.stop();
        crew.join();
        end(users);
        CHECK_EQUAL(users.pool->figures().committed, 0U);
    }
}

/// The last handle goes while threads release their last blocks. The pool ends once.
template <class Users>
void drop_amid_release(int rounds) {
    for (int round = 0; round < rounds; ++round) {
        Users users;
        Crew acquiring;
        acquiring.add(1, 100, [&](std::mt19937& random) { users.step(random); });
        acquiring.join();
        Crew releasing;
        releasing.add(2, 1, [&](std::mt19937&) { users.release_all(); });
        users.handle = {};
        releasing.join();
    }
}

/// Forks while the crew's threads use the pool. The children run `act` and exit.
template <class Users, class Act>
void fork_amid_use(Users& users, Crew& crew, Act act) {
    crew.add(2, Crew::until_stopped, [&](std::mt19937& random) {
        users.step(random);
        if (random() % 256 == 0) users.pool->trim();
        if (random() % 64 == 0) std::this_thread::yield();
    });
    int failed = 0;
    for (int i = 0; i < forks; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(20);
            try {
                act();
                users.pool->check();
                users.pool->trim();
                users.pool->check();
            } catch (...) {
                _exit(1);
            }
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        failed += status == 0 ? 0 : 1;
    }
    crew.stop();
    crew.join();
    CHECK_EQUAL(failed, 0);
    end(users);
}

}  // namespace numpool::threads::stress
