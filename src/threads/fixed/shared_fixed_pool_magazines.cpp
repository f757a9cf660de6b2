/// A fixed pool's blocks on their way between threads' magazines and the pool behind the lock.

#include <algorithm>
#include <cstring>

#include "threads/fixed/shared_fixed_pool.hpp"

namespace numpool::threads {
namespace {

using pools::RecordedBlock;

/// Shutting the gates costs some microseconds. So they then stay shut for this many operations,
/// unless there are `plenty` of unused blocks.
constexpr std::size_t operations_behind_shut_gates = 256;
constexpr std::size_t plenty = pools::Magazine::most_at_once;

}  // namespace

SharedFixedPool::Block SharedFixedPool::acquire_slow_or_throw() {
    const Block block = acquire_slow();
    if (block) return block;
    const Lock lock{mutex_};
    require_open();
    return {};
}

SharedFixedPool::Block SharedFixedPool::acquire_slow() noexcept {
    Threads::Own* const own = threads_.own(*this);
    if (own != nullptr) {
        // Another pool's magazine was at hand.
        if (const Block block = pop_from(*own)) return block;
    }
    const Lock lock{mutex_};
    if (closed_) return {};
    open_gates_if_due();
    if (own == nullptr || !threads_.open()) return acquire_locked();
    Magazine& magazine = *own->magazines();
    if (magazine.count() == 0) {
        magazine.refill(
            [&](RecordedBlock* blocks, std::size_t most) { return refill(blocks, most); });
    }
    RecordedBlock block;
    if (!magazine.pop(block)) return acquire_locked();
    record_acquire(block);
    check_each_time();
    return {block.start, true, wipe_};
}

void SharedFixedPool::release_slow(std::byte* block) noexcept {
    if (wipe_) std::memset(block, 0, block_size_);
    // The fast path knows the newest chunk only, and the block may be of an older one.
    if (push_to(own_at_hand(), block)) return;
    Threads::Own* const own = threads_.own(*this);
    if (own != nullptr && push_to(*own, block)) return;
    Lock lock{mutex_};
    open_gates_if_due();
    if (own == nullptr || !threads_.open()) return hand_on(lock, Block{block, true, wipe_});
    const RecordedBlock unused = record_release(block);
    Magazine& magazine = *own->magazines();
    if (!magazine.push(unused)) {
        own->all->make_room(0, [&](const RecordedBlock* blocks, std::size_t count) {
            return_to_pool(blocks, count);
        });
        magazine.push(unused);
    }
    check_each_time();
}

std::size_t SharedFixedPool::refill(RecordedBlock* blocks, std::size_t most) noexcept {
    const std::size_t taken = pool_->acquire_batch(blocks, most);
    if (taken != 0 && blocks[taken - 1].entry == nullptr) stop_at(blocks[taken - 1].start);
    if (wipe_) {
        for (std::size_t i = 0; i < taken; ++i) wipe_link(blocks[i].start);
    }
    note_out(taken);
    return taken;
}

void SharedFixedPool::return_to_pool(const RecordedBlock* blocks, std::size_t count) noexcept {
    pool_->release_batch(blocks, count);
    out_ -= count;
}

/// In a wiped block only the link of the free list is not zero.
void SharedFixedPool::wipe_link(std::byte* block) const noexcept {
    std::memset(block, 0, std::min(block_size_, sizeof(std::byte*)));
}

/// Shuts the gates and empties all magazines.
void SharedFixedPool::gather() noexcept {
    if (!threads_.open()) return;
    threads_.shut_gates();
    threads_.empty_all(to_pool());
    locked_operations_ = 0;
}

bool SharedFixedPool::may_open_gates() const noexcept {
    return !any_waiting() && !closed_ && stock() != 0;
}

/// After `gather`: opens the gates at once where there are plenty of blocks.
void SharedFixedPool::open_gates_if_plenty() noexcept {
    if (may_open_gates() && stock() >= plenty) threads_.open_gates();
}

void SharedFixedPool::open_gates_if_due() noexcept {
    if (threads_.open() || ++locked_operations_ < operations_behind_shut_gates) return;
    if (may_open_gates()) threads_.open_gates();
}

std::size_t SharedFixedPool::live() const noexcept {
    std::size_t at_hand = 0;
    threads_.for_each([&](const Threads::Magazines& all) { at_hand += all[0].count(); });
    // A block that moves between threads meanwhile may be counted twice.
    return out_ - std::min(out_, at_hand);
}

bool SharedFixedPool::thread_joins(ThreadRecord& record) noexcept {
    const Lock lock{mutex_};
    return threads_.join(record);
}

void SharedFixedPool::thread_ends(ThreadRecord& record) noexcept {
    const Lock lock{mutex_};
    threads_.end_magazines(record, to_pool());
}

void SharedFixedPool::forget_other_threads() noexcept {
    WaitingPool::forget_other_threads();
    threads_.keep_only_own(to_pool());
}

}  // namespace numpool::threads
