#include "threads/magazine/pool_threads.hpp"

#include <algorithm>
#include <new>

#include "base/gate/shut_gates.hpp"

namespace numpool::threads {
namespace {

std::uint64_t next_number() noexcept {
    static std::atomic<std::uint64_t> last = 0;
    return ++last;
}

template <class Block, class Visit>
void for_each_gate(ThreadMagazines<Block>& magazines, Visit visit) noexcept {
    for (std::size_t i = 0; i < magazines.all->size(); ++i)
        visit(magazines.magazines()[i].gate(), i);
}

}  // namespace

template <class Block>
PoolThreads<Block>::PoolThreads(const void* pool, std::vector<pools::MagazineBounds> bounds,
                                GateKey first_key)
    : pool_{pool},
      number_{next_number()},
      first_key_{first_key},
      bounds_{std::move(bounds)},
      room_for_common_{new pools::MagazineOf<Block>[bounds_.size()]},
      common_{bounds_, room_for_common_.get()} {}

template <class Block>
bool PoolThreads<Block>::join(ThreadRecord& record) noexcept try {
    auto& magazines = static_cast<ThreadMagazines<Block>&>(record);
    if (closed_) return false;
    threads_.push_back(&magazines);
    if (open()) {
        open_gates_of(magazines);
    } else {
        shut_gates_of(magazines);
    }
    return true;
} catch (const std::bad_alloc&) {
    return false;
}

template <class Block>
void PoolThreads<Block>::shut_gates() noexcept {
    if (!open()) return;
    open_.store(false, std::memory_order_relaxed);
    // The caller is not inside its own gates: while it is the only thread, none has to be stopped.
    const bool others = std::any_of(threads_.begin(), threads_.end(),
                                    [](const auto* thread) { return !belongs_to_caller(*thread); });
    if (others) {
        numpool::shut_gates([this](auto visit) {
            for (ThreadMagazines<Block>* const thread : threads_) {
                for_each_gate(*thread, [&](auto& gate, std::size_t) { visit(gate); });
            }
        });
    } else {
        for (ThreadMagazines<Block>* const thread : threads_) shut_gates_of(*thread);
    }
}

template <class Block>
void PoolThreads<Block>::open_gates() noexcept {
    if (closed_) return;
    open_.store(true, std::memory_order_relaxed);
    for (ThreadMagazines<Block>* const thread : threads_) open_gates_of(*thread);
}

template <class Block>
void PoolThreads<Block>::shut_gates_of(ThreadMagazines<Block>& magazines) noexcept {
    for_each_gate(magazines, [](auto& gate, std::size_t) { gate.shut(); });
}

template <class Block>
void PoolThreads<Block>::open_gates_of(ThreadMagazines<Block>& magazines) const noexcept {
    for_each_gate(magazines, [&](auto& gate, std::size_t number) {
        gate.open(pool_, pools::gate_key(first_key_, pools::offset_of_class(number)));
    });
}

template <class Block>
void PoolThreads<Block>::forget(ThreadMagazines<Block>& magazines) noexcept {
    for (std::size_t i = 0; i < common_.size(); ++i) common_[i].inherit((*magazines.all)[i]);
    delete magazines.all;
    magazines.all = nullptr;
    magazines.pool = nullptr;
    std::erase(threads_, &magazines);
}

/// Moves idle threads to the front and returns their number; the order has no other meaning.
template <class Block>
std::size_t PoolThreads<Block>::idle_to_the_front() noexcept {
    const auto is_idle = [](ThreadMagazines<Block>& thread) {
        std::int64_t requests = 0;
        for (std::size_t i = 0; i < thread.all->size(); ++i)
            requests += (*thread.all)[i].requests();
        return std::exchange(thread.requests_seen, requests) == requests;
    };
    std::size_t idle = 0;
    for (ThreadMagazines<Block>*& thread : threads_) {
        if (is_idle(*thread)) std::swap(thread, threads_[idle++]);
    }
    return idle;
}

template <class Block>
bool PoolThreads<Block>::any_wide() const noexcept {
    return std::any_of(threads_.begin(), threads_.end(),
                       [](const ThreadMagazines<Block>* thread) { return thread->all->wide(); });
}

template <class Block>
std::vector<const pools::MagazinesOf<Block>*> PoolThreads<Block>::all_magazines() const {
    std::vector<const pools::MagazinesOf<Block>*> all;
    for_each([&](const Magazines& magazines) { all.push_back(&magazines); });
    return all;
}

template class PoolThreads<pools::FreeBlock>;
template class PoolThreads<pools::RecordedBlock>;

}  // namespace numpool::threads
