#include "threads/magazine/thread_magazines.hpp"

#include <pthread.h>

#include <memory>
#include <optional>

#include "pages/source/os_pages.hpp"

namespace numpool::threads {
/// A thread's records of all pools.
struct Thread {
    ThreadRecord* first = nullptr;

    /// A cache of some of the records, by their pools' numbers: a program may have hundreds of
    /// pools.
    std::array<ThreadRecord*, 16> recent{};
    ThreadRecord*& recent_for(std::uint64_t number) noexcept {
        return recent[number % recent.size()];
    }
};

namespace {

/// A record and room for magazines.
template <class Block>
struct Records {
    ThreadMagazines<Block> record;
    std::array<pools::MagazineOf<Block>, Shelf<Block>::room> magazines;
};

/// At hand in threads that have no magazines yet, or have none any more. They belong to no pool and
/// have no places. Many threads count at their gates at once, and nothing reads those counts.
struct None {
    Records<pools::FreeBlock> of_classes;
    Records<pools::RecordedBlock> of_equal_blocks;

    constexpr std::array<ThreadRecord*, shelves> all() noexcept {
        return {&of_classes.record, &of_equal_blocks.record};
    }
};
constinit None none_yet;
constinit None none_any_more;

/// A large record has pages of its own; only those that its magazines need are ever touched.
template <class Block>
constexpr bool has_pages = sizeof(Records<Block>) > 4096;

template <class Block>
ThreadMagazines<Block>* new_record() {
    std::byte* room = nullptr;
    if constexpr (has_pages<Block>) {
        room = pages::os_pages().map(sizeof(Records<Block>), pages::page_size()).start;
        if (room == nullptr) throw std::bad_alloc{};
    } else {
        constexpr std::align_val_t align{alignof(Records<Block>)};
        room = static_cast<std::byte*>(::operator new(sizeof(Records<Block>), align));
    }
    auto* const record = new (room) ThreadMagazines<Block>;
    record->shelf = Shelf<Block>::number;
    return record;
}

template <class Block>
void end_record(ThreadRecord* record) noexcept {
    auto* const room = reinterpret_cast<std::byte*>(static_cast<ThreadMagazines<Block>*>(record));
    if constexpr (has_pages<Block>) {
        constexpr std::size_t bytes = sizeof(Records<Block>);
        pages::os_pages().unmap({room, round_up(bytes, pages::page_size())});
    } else {
        ::operator delete(room, std::align_val_t{alignof(Records<Block>)});
    }
}

void end_thread(void* address) {
    auto* const thread = static_cast<Thread*>(address);
    magazines_at_hand = none_any_more.all();
    const std::lock_guard lock{links_mutex()};
    while (ThreadRecord* const magazines = thread->first) {
        if (magazines->pool != nullptr) magazines->pool->thread_ends(*magazines);
        thread->first = magazines->next;
        end_thread_record(magazines);
    }
    delete thread;
}

/// The destructor of this key runs at the end of a thread. A thread_local object's destructor would
/// run at another time in each library, and make the pointer's storage non-trivial. Empty where the
/// process has used all keys: then no thread has magazines, and every operation takes the lock.
std::optional<pthread_key_t> end_key() {
    static const std::optional<pthread_key_t> key = []() -> std::optional<pthread_key_t> {
        pthread_key_t made{};
        if (pthread_key_create(&made, &end_thread) != 0) return {};
        return made;
    }();
    return key;
}

bool thread_has_ended() noexcept {
    return magazines_at_hand == none_any_more.all();
}

/// Null where the calling thread never had magazines.
Thread* known_thread() noexcept {
    if (thread_has_ended()) return nullptr;
    for (const ThreadRecord* const magazines : magazines_at_hand) {
        if (magazines->thread != nullptr) return magazines->thread;
    }
    const auto key = end_key();
    return key ? static_cast<Thread*>(pthread_getspecific(*key)) : nullptr;
}

Thread* calling_thread() {
    if (Thread* const known = known_thread(); known != nullptr || thread_has_ended()) return known;
    const auto key = end_key();
    if (!key) return nullptr;
    auto* const thread = new Thread;
    if (pthread_setspecific(*key, thread) == 0) return thread;
    delete thread;
    return nullptr;
}

/// Frees the records of pools that have closed.
void forget_closed(Thread& thread) {
    for (ThreadRecord** link = &thread.first; *link != nullptr;) {
        ThreadRecord* const magazines = *link;
        if (magazines->pool != nullptr) {
            link = &magazines->next;
            continue;
        }
        *link = magazines->next;
        thread.recent_for(magazines->number) = nullptr;
        ThreadRecord*& at_hand = magazines_at_hand[magazines->shelf];
        if (at_hand == magazines) at_hand = none_yet.all()[magazines->shelf];
        end_thread_record(magazines);
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

thread_local constinit std::array<ThreadRecord*, shelves> magazines_at_hand = none_yet.all();

void end_thread_record(ThreadRecord* record) noexcept {
    if (record->shelf == Shelf<pools::FreeBlock>::number) {
        end_record<pools::FreeBlock>(record);
    } else {
        end_record<pools::RecordedBlock>(record);
    }
}

template <class Block>
ThreadMagazines<Block>* find_thread_magazines(std::uint64_t number) noexcept {
    Thread* const thread = known_thread();
    if (thread == nullptr) return nullptr;
    ThreadRecord*& recent = thread->recent_for(number);
    if (recent == nullptr || recent->number != number) {
        ThreadRecord* record = thread->first;
        while (record != nullptr && record->number != number) record = record->next;
        if (record == nullptr) return nullptr;
        recent = record;
    }
    magazines_at_hand[Shelf<Block>::number] = recent;
    return static_cast<ThreadMagazines<Block>*>(recent);
}

template <class Block>
ThreadMagazines<Block>* make_thread_magazines(std::uint64_t number,
                                              std::span<const pools::MagazineBounds> bounds,
                                              MagazinePool& pool) noexcept try {
    Thread* const thread = calling_thread();
    if (thread == nullptr) return nullptr;
    std::unique_ptr<ThreadMagazines<Block>, void (*)(ThreadRecord*)> magazines{new_record<Block>(),
                                                                               &end_thread_record};
    auto all = std::make_unique<pools::MagazinesOf<Block>>(bounds, magazines->magazines());
    const std::lock_guard lock{links_mutex()};
    forget_closed(*thread);
    magazines->number = number;
    magazines->all = all.get();
    magazines->pool = &pool;
    magazines->thread = thread;
    if (!pool.thread_joins(*magazines)) return nullptr;
    static_cast<void>(all.release());
    magazines->next = thread->first;
    thread->first = magazines.get();
    magazines_at_hand[Shelf<Block>::number] = magazines.get();
    return magazines.release();
} catch (const std::bad_alloc&) {
    return nullptr;
}

template ThreadMagazines<pools::FreeBlock>* find_thread_magazines(std::uint64_t) noexcept;
template ThreadMagazines<pools::RecordedBlock>* find_thread_magazines(std::uint64_t) noexcept;
template ThreadMagazines<pools::FreeBlock>* make_thread_magazines(
    std::uint64_t, std::span<const pools::MagazineBounds>, MagazinePool&) noexcept;
template ThreadMagazines<pools::RecordedBlock>* make_thread_magazines(
    std::uint64_t, std::span<const pools::MagazineBounds>, MagazinePool&) noexcept;

std::mutex& links_mutex() noexcept {
    static auto* const links = new LinksGuard;
    return links->mutex;
}

}  // namespace numpool::threads
