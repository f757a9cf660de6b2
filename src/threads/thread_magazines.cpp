#include "threads/thread_magazines.hpp"

#include <pthread.h>

#include <array>
#include <memory>

namespace numpool::threads {
/// What a thread has of all pools.
struct Thread {
    ThreadMagazines* first = nullptr;

    /// Some of them, by their pools' keys: a program may have hundreds of pools.
    std::array<ThreadMagazines*, 16> recent{};
    ThreadMagazines*& recent_for(std::uint64_t key) noexcept { return recent[key % recent.size()]; }
};

namespace {

/// At hand in threads that have none yet, and in those that have none any more. No key opens their
/// gates, and nothing but the gates is ever used.
constinit ThreadMagazines none_yet;
constinit ThreadMagazines none_any_more;

void end_thread(void* address) {
    auto* const thread = static_cast<Thread*>(address);
    magazines_at_hand = &none_any_more;
    const std::lock_guard lock{links_mutex()};
    while (ThreadMagazines* const magazines = thread->first) {
        if (magazines->pool != nullptr) magazines->pool->thread_ends(*magazines);
        thread->first = magazines->next;
        ThreadMagazines::end(magazines);
    }
    delete thread;
}

/// The destructor of this key is how the end of a thread is learnt; a thread_local object's would
/// run at another time in each library, and make the pointer's storage non-trivial.
pthread_key_t end_key() {
    static const pthread_key_t key = [] {
        pthread_key_t made{};
        pthread_key_create(&made, &end_thread);
        return made;
    }();
    return key;
}

Thread* calling_thread() {
    if (magazines_at_hand == &none_any_more) return nullptr;
    if (magazines_at_hand != &none_yet) return magazines_at_hand->thread;
    auto* thread = static_cast<Thread*>(pthread_getspecific(end_key()));
    if (thread != nullptr) return thread;
    thread = new Thread;
    if (pthread_setspecific(end_key(), thread) == 0) return thread;
    delete thread;
    return nullptr;
}

/// Ends magazines of pools that have closed.
void forget_closed(Thread& thread) {
    bool at_hand = false;
    for (ThreadMagazines** link = &thread.first; *link != nullptr;) {
        ThreadMagazines* const magazines = *link;
        if (magazines->pool != nullptr) {
            link = &magazines->next;
            continue;
        }
        *link = magazines->next;
        thread.recent_for(magazines->key) = nullptr;
        at_hand |= magazines_at_hand == magazines;
        ThreadMagazines::end(magazines);
    }
    if (at_hand) magazines_at_hand = thread.first != nullptr ? thread.first : &none_yet;
}

class LinksGuard final : public ForkGuarded {
  public:
    LinksGuard() { guard(Rank::links); }
    void lock_for_fork() noexcept override { mutex.lock(); }
    void unlock_in_parent() noexcept override { mutex.unlock(); }
    void unlock_in_child() noexcept override { mutex.unlock(); }

    std::mutex mutex;
};

}  // namespace

thread_local constinit ThreadMagazines* magazines_at_hand = &none_yet;

ThreadMagazines* ThreadMagazines::make(std::size_t count) {
    const std::size_t bytes = sizeof(ThreadMagazines) + count * sizeof(pools::Magazine);
    return new (::operator new(bytes, std::align_val_t{alignof(ThreadMagazines)})) ThreadMagazines;
}

void ThreadMagazines::end(ThreadMagazines* magazines) noexcept {
    ::operator delete(magazines, std::align_val_t{alignof(ThreadMagazines)});
}

ThreadMagazines* find_thread_magazines(std::uint64_t key) noexcept {
    Thread* const thread = magazines_at_hand->thread;
    if (thread == nullptr) return nullptr;
    ThreadMagazines*& recent = thread->recent_for(key);
    if (recent == nullptr || recent->key != key) {
        ThreadMagazines* magazines = thread->first;
        while (magazines != nullptr && magazines->key != key) magazines = magazines->next;
        if (magazines == nullptr) return nullptr;
        recent = magazines;
    }
    magazines_at_hand = recent;
    return recent;
}

ThreadMagazines* make_thread_magazines(std::uint64_t key,
                                       std::span<const pools::MagazineBounds> bounds,
                                       MagazineOwner& pool) noexcept try {
    Thread* const thread = calling_thread();
    if (thread == nullptr) return nullptr;
    std::unique_ptr<ThreadMagazines, void (*)(ThreadMagazines*)> magazines{
        ThreadMagazines::make(bounds.size()), &ThreadMagazines::end};
    auto all = std::make_unique<pools::Magazines>(bounds, magazines->magazines());
    const std::lock_guard lock{links_mutex()};
    forget_closed(*thread);
    magazines->key = key;
    magazines->all = all.get();
    magazines->pool = &pool;
    magazines->thread = thread;
    if (!pool.thread_joins(*magazines)) return nullptr;
    static_cast<void>(all.release());
    magazines->next = thread->first;
    thread->first = magazines.get();
    magazines_at_hand = magazines.get();
    return magazines.release();
} catch (const std::bad_alloc&) {
    return nullptr;
}

std::mutex& links_mutex() noexcept {
    static auto* const links = new LinksGuard;
    return links->mutex;
}

}  // namespace numpool::threads
