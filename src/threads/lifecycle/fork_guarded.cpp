#include "threads/lifecycle/fork_guarded.hpp"

#include <pthread.h>

#include <array>
#include <mutex>

namespace numpool::threads {
namespace {

struct Registry {
    std::mutex mutex;
    /// One for each rank, locked in this order.
    std::array<std::list<ForkGuarded*>, 6> guarded;

    std::list<ForkGuarded*>& of(ForkGuarded::Rank rank) {
        return guarded[static_cast<std::size_t>(rank)];
    }

    template <class Act>
    void for_each(Act act) {
        for (const auto& rank : guarded) {
            for (ForkGuarded* const one : rank) act(*one);
        }
    }
};

/// Never destroyed: pools come and go while the process exits.
Registry& registry() {
    static Registry* const all = new Registry;
    return *all;
}

void before_fork() {
    registry().mutex.lock();
    registry().for_each([](ForkGuarded& one) { one.lock_for_fork(); });
}

void after_fork_in_parent() {
    registry().for_each([](ForkGuarded& one) { one.unlock_in_parent(); });
    registry().mutex.unlock();
}

void after_fork_in_child() {
    registry().for_each([](ForkGuarded& one) { one.unlock_in_child(); });
    registry().mutex.unlock();
    registry().for_each([](ForkGuarded& one) { one.end_in_child(); });
}

}  // namespace

ForkGuarded::ForkGuarded() : outside_{this}, entry_{outside_.begin()} {}
ForkGuarded::~ForkGuarded() = default;

void ForkGuarded::guard(Rank rank) noexcept {
    static const int handlers =
        pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    static_cast<void>(handlers);
    const std::lock_guard lock{registry().mutex};
    std::list<ForkGuarded*>& list = registry().of(rank);
    list.splice(rank == Rank::drawing ? list.begin() : list.end(), outside_);
    rank_ = rank;
    guarded_ = true;
}

void ForkGuarded::unguard() noexcept {
    if (!guarded_) return;
    const std::lock_guard lock{registry().mutex};
    outside_.splice(outside_.begin(), registry().of(rank_), entry_);
    guarded_ = false;
}

}  // namespace numpool::threads
