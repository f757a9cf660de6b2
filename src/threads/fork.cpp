#include "threads/fork.hpp"

#include <pthread.h>

#include <mutex>

namespace numpool::threads {
namespace {

struct Registry {
    std::mutex mutex;
    std::list<ForkGuarded*> guarded;
};

/// Never destroyed: pools come and go while the process exits.
Registry& registry() {
    static Registry* const all = new Registry;
    return *all;
}

void before_fork() {
    registry().mutex.lock();
    for (ForkGuarded* one : registry().guarded) one->lock_for_fork();
}

void after_fork_in_parent() {
    for (ForkGuarded* one : registry().guarded) one->unlock_in_parent();
    registry().mutex.unlock();
}

void after_fork_in_child() {
    for (ForkGuarded* one : registry().guarded) one->unlock_in_child();
    registry().mutex.unlock();
}

}  // namespace

ForkGuarded::ForkGuarded() = default;
ForkGuarded::~ForkGuarded() = default;

void ForkGuarded::guard() {
    static const int handlers =
        pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    static_cast<void>(handlers);
    const std::lock_guard lock{registry().mutex};
    place_ = registry().guarded.insert(registry().guarded.end(), this);
    guarded_ = true;
}

void ForkGuarded::unguard() noexcept {
    if (!guarded_) return;
    const std::lock_guard lock{registry().mutex};
    registry().guarded.erase(place_);
    guarded_ = false;
}

}  // namespace numpool::threads
