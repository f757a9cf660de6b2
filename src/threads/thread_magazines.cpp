#include "threads/thread_magazines.hpp"

#include <pthread.h>

#include <memory>

#include "pages/os_pages.hpp"

namespace numpool::threads {
/// What a thread has of all pools.
struct Thread {
    ThreadMagazines* first = nullptr;

    /// Some of them, by their pools' keys: a program may have hundreds of pools.
    std::array<ThreadMagazines*, 16> recent{};
    ThreadMagazines*& recent_for(std::uint64_t key) noexcept { return recent[key % recent.size()]; }
};

namespace {

constexpr std::size_t most_magazines = SizeClasses::most_in_all;

/// At hand in threads that have none yet, and in those that have none any more. No key opens their
/// gates, and nothing but the gates is ever used.
struct None {
    ThreadMagazines record;
    std::array<pools::Magazine, most_magazines> magazines;
};
constinit None none_yet;
constinit None none_any_more;

void have_at_hand(None& none) noexcept {
    magazines_at_hand.fill(&none.record);
}

void end_thread(void* address) {
    auto* const thread = static_cast<Thread*>(address);
    have_at_hand(none_any_more);
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

bool thread_has_ended() noexcept {
    return magazines_at_hand.front() == &none_any_more.record;
}

/// Null where the calling thread has had no magazines.
Thread* known_thread() noexcept {
    if (thread_has_ended()) return nullptr;
    for (const ThreadMagazines* const magazines : magazines_at_hand) {
        if (magazines->thread != nullptr) return magazines->thread;
    }
    return static_cast<Thread*>(pthread_getspecific(end_key()));
}

Thread* calling_thread() {
    if (Thread* const known = known_thread(); known != nullptr || thread_has_ended()) return known;
    auto* const thread = new Thread;
    if (pthread_setspecific(end_key(), thread) == 0) return thread;
    delete thread;
    return nullptr;
}

/// Ends magazines of pools that have closed.
void forget_closed(Thread& thread) {
    for (ThreadMagazines** link = &thread.first; *link != nullptr;) {
        ThreadMagazines* const magazines = *link;
        if (magazines->pool != nullptr) {
            link = &magazines->next;
            continue;
        }
        *link = magazines->next;
        thread.recent_for(magazines->key) = nullptr;
        if (at_hand(magazines->shelf) == magazines) at_hand(magazines->shelf) = &none_yet.record;
        ThreadMagazines::end(magazines);
    }
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

thread_local constinit std::array<ThreadMagazines*, 2> magazines_at_hand = {&none_yet.record,
                                                                            &none_yet.record};

ThreadMagazines* ThreadMagazines::make(Shelf shelf) {
    void* room = nullptr;
    if (shelf == Shelf::size_classes) {
        room = pages::os_pages().map(sizeof(None), pages::page_size()).start;
        if (room == nullptr) throw std::bad_alloc{};
    } else {
        constexpr std::size_t bytes = sizeof(ThreadMagazines) + sizeof(pools::Magazine);
        room = ::operator new(bytes, std::align_val_t{alignof(ThreadMagazines)});
    }
    auto* const magazines = new (room) ThreadMagazines;
    magazines->shelf = shelf;
    return magazines;
}

void ThreadMagazines::end(ThreadMagazines* magazines) noexcept {
    if (magazines->shelf == Shelf::size_classes) {
        const std::size_t bytes = round_up(sizeof(None), pages::page_size());
        pages::os_pages().unmap({reinterpret_cast<std::byte*>(magazines), bytes});
    } else {
        ::operator delete(magazines, std::align_val_t{alignof(ThreadMagazines)});
    }
}

ThreadMagazines* find_thread_magazines(Shelf shelf, std::uint64_t key) noexcept {
    Thread* const thread = known_thread();
    if (thread == nullptr) return nullptr;
    ThreadMagazines*& recent = thread->recent_for(key);
    if (recent == nullptr || recent->key != key) {
        ThreadMagazines* magazines = thread->first;
        while (magazines != nullptr && magazines->key != key) magazines = magazines->next;
        if (magazines == nullptr) return nullptr;
        recent = magazines;
    }
    at_hand(shelf) = recent;
    return recent;
}

ThreadMagazines* make_thread_magazines(Shelf shelf, std::uint64_t key,
                                       std::span<const pools::MagazineBounds> bounds,
                                       MagazineOwner& pool) noexcept try {
    Thread* const thread = calling_thread();
    if (thread == nullptr) return nullptr;
    std::unique_ptr<ThreadMagazines, void (*)(ThreadMagazines*)> magazines{
        ThreadMagazines::make(shelf), &ThreadMagazines::end};
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
    at_hand(shelf) = magazines.get();
    return magazines.release();
} catch (const std::bad_alloc&) {
    return nullptr;
}

std::mutex& links_mutex() noexcept {
    static auto* const links = new LinksGuard;
    return links->mutex;
}

}  // namespace numpool::threads
