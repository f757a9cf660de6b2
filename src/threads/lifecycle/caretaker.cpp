#include "threads/lifecycle/caretaker.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <new>
#include <thread>

namespace numpool::threads {

Caretaker& Caretaker::instance() {
    static auto* const caretaker = new Caretaker;
    return *caretaker;
}

Caretaker::Caretaker() {
    // Registered after the pools' handlers, as `add` demands. So a fork takes its lock before
    // theirs, and its thread holds none of them then.
    pthread_atfork([] { instance().mutex_.lock(); }, [] { instance().mutex_.unlock(); },
                   [] {
                       // The thread was not copied, but the condition's state may count it as a
                       // waiter.
                       Caretaker& self = instance();
                       self.running_ = false;
                       new (&self.changed_) std::condition_variable;
                       self.mutex_.unlock();
                   });
}

void Caretaker::add(Decaying& pool, std::chrono::milliseconds period) {
    constexpr std::chrono::milliseconds shortest{20};
    const std::lock_guard lock{mutex_};
    entries_.push_back({&pool, std::max(period / 2, shortest)});
    if (!running_) start_thread();
    changed_.notify_one();
}

void Caretaker::remove(Decaying& pool) noexcept {
    const std::lock_guard lock{mutex_};
    std::erase_if(entries_, [&](const Entry& entry) { return entry.pool == &pool; });
}

void Caretaker::start_thread() {
    // The program's own threads handle signals.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::thread{[this] { run(); }}.detach();
        running_ = true;
    } catch (...) {
        entries_.pop_back();
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

std::chrono::milliseconds Caretaker::shortest_interval() const noexcept {
    auto interval = std::chrono::milliseconds::max();
    for (const Entry& entry : entries_) interval = std::min(interval, entry.interval);
    return interval;
}

void Caretaker::run() noexcept {
    std::unique_lock lock{mutex_};
    for (;;) {
        if (entries_.empty()) {
            changed_.wait(lock);
        } else {
            changed_.wait_for(lock,
                              std::min(shortest_interval(), std::chrono::milliseconds{60'000}));
        }
        for (const Entry& entry : entries_) entry.pool->decay();
    }
}

}  // namespace numpool::threads
