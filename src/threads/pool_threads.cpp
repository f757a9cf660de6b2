#include "threads/pool_threads.hpp"

#include <algorithm>
#include <limits>
#include <new>

#include "threads/heavy_barrier.hpp"

namespace numpool::threads {
namespace {

std::uint64_t next_number() noexcept {
    static std::atomic<std::uint64_t> last = 0;
    return ++last;
}

/// 0 where there is none left. Behind `shut_key` come those that open.
pools::Magazine::Gate::Key key_for(std::uint64_t number) noexcept {
    using Gate = pools::Magazine::Gate;
    constexpr std::uint64_t most = std::numeric_limits<Gate::Key>::max() - Gate::shut_key;
    return number > most ? 0 : Gate::shut_key + static_cast<Gate::Key>(number);
}

template <class Visit>
void for_each_gate(ThreadMagazines& magazines, Visit visit) noexcept {
    for (std::size_t i = 0; i < magazines.all->size(); ++i)
        visit(magazines.magazines()[i].gate(), i);
}

}  // namespace

PoolThreads::PoolThreads(Shelf shelf, std::vector<pools::MagazineBounds> bounds, Key first_key)
    : shelf_{shelf},
      number_{next_number()},
      first_key_{first_key != 0 ? first_key : key_for(number_)},
      bounds_{std::move(bounds)},
      open_{first_key_ != 0},
      retired_{first_key_ == 0},
      room_for_gone_{new pools::Magazine[bounds_.size()]},
      gone_{bounds_, room_for_gone_.get()} {}

bool PoolThreads::join(ThreadMagazines& magazines) noexcept try {
    if (retired_) return false;
    threads_.push_back(&magazines);
    if (open()) open_gates_of(magazines);
    return true;
} catch (const std::bad_alloc&) {
    return false;
}

void PoolThreads::shut_gates() noexcept {
    if (!open()) return;
    open_.store(false, std::memory_order_relaxed);
    // The caller is not behind its own gate, so while it is the only one nobody has to be stopped.
    bool others = false;
    for (ThreadMagazines* const thread : threads_) {
        shut_gates_of(*thread);
        others |= !belongs_to_caller(*thread);
    }
    if (!others) return;
    heavy_barrier();
    for (ThreadMagazines* const thread : threads_) {
        for_each_gate(*thread, [](auto& gate, std::size_t) { gate.wait_outside(); });
    }
}

void PoolThreads::open_gates() noexcept {
    if (retired_) return;
    open_.store(true, std::memory_order_relaxed);
    for (ThreadMagazines* const thread : threads_) open_gates_of(*thread);
}

void PoolThreads::shut_gates_of(ThreadMagazines& magazines) noexcept {
    for_each_gate(magazines, [](auto& gate, std::size_t) { gate.shut(); });
}

void PoolThreads::open_gates_of(ThreadMagazines& magazines) const noexcept {
    for_each_gate(magazines, [&](auto& gate, std::size_t number) {
        gate.open(first_key_ + static_cast<Key>(number * SizeClasses::offset_step));
    });
}

void PoolThreads::forget(ThreadMagazines& magazines) noexcept {
    for (std::size_t i = 0; i < gone_.size(); ++i) gone_[i].inherit((*magazines.all)[i]);
    delete magazines.all;
    magazines.all = nullptr;
    magazines.pool = nullptr;
    std::erase(threads_, &magazines);
}

/// Idle threads' to the front, and how many they are; the order of threads has no meaning.
std::size_t PoolThreads::idle_to_the_front() noexcept {
    const auto is_idle = [](ThreadMagazines& thread) {
        std::int64_t requests = 0;
        for (std::size_t i = 0; i < thread.all->size(); ++i)
            requests += (*thread.all)[i].requests();
        return std::exchange(thread.requests_seen, requests) == requests;
    };
    std::size_t idle = 0;
    for (ThreadMagazines*& thread : threads_) {
        if (is_idle(*thread)) std::swap(thread, threads_[idle++]);
    }
    return idle;
}

bool PoolThreads::any_wide() const noexcept {
    return std::any_of(threads_.begin(), threads_.end(),
                       [](const ThreadMagazines* thread) { return thread->all->wide(); });
}

std::vector<const pools::Magazines*> PoolThreads::all_magazines() const {
    std::vector<const pools::Magazines*> all;
    for_each([&](const pools::Magazines& magazines) { all.push_back(&magazines); });
    return all;
}

}  // namespace numpool::threads
