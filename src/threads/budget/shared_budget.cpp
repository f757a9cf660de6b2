#include "threads/budget/shared_budget.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <typeinfo>

#include "base/error.hpp"
#include "base/size_text.hpp"

namespace numpool::threads {
namespace {

SharedBudget* outer_of(Pool& source, SharedBudget* outer) noexcept {
    auto* const budget = dynamic_cast<SharedBudget*>(&source);
    return budget == nullptr ? outer : budget;
}

ByteSource& required_source(Pool& pool) {
    ByteSource* const source = source_of(pool);
    if (source == nullptr) throw std::bad_cast{};
    return *source;
}

}  // namespace

PoolHandle<SharedBudget> SharedBudget::create(const SharedBudgetOptions& options, Pool& source,
                                              SharedBudget* outer) {
    return PoolHandle{new SharedBudget{options, source, outer}};
}

SharedBudget::SharedBudget(const SharedBudgetOptions& options, Pool& source, SharedBudget* outer)
    : PoolLifecycle{"Budget", options.name},
      outer_{outer_of(source, outer)},
      bottom_{&bottom_of(source)},
      source_{required_source(*bottom_)},
      slabs_{bottom_->layer() == nullptr ? dynamic_cast<SharedSlabPool*>(bottom_.get()) : nullptr},
      alone_{outer_.get() == nullptr ? slabs_ : nullptr},
      account_{options.limit, options.soft} {}

/// Adds `bytes` to this budget alone.
std::size_t SharedBudget::charge_here(std::size_t bytes) noexcept {
    const std::size_t after = account_.add(bytes);
    if (after != 0 && account_.crosses_soft(after, bytes)) [[unlikely]]
        soft_crossed();
    return after;
}

/// Counts `bytes` in this budget and in all outer ones. Returns what is in use in this one now; 0,
/// and nothing has changed, where one of them refuses.
std::size_t SharedBudget::charge(std::size_t bytes) noexcept {
    const std::size_t after = charge_here(bytes);
    if (after == 0 || outer() == nullptr) return after;
    for (SharedBudget* one = outer(); one != nullptr; one = one->outer()) {
        if (one->charge_here(bytes) != 0) continue;
        one->account_.count_failure();
        discharge(bytes, one);
        return 0;
    }
    return after;
}

/// Ends what `charge` counted, in the budgets before `end`.
void SharedBudget::discharge(std::size_t bytes, const SharedBudget* end) noexcept {
    for (SharedBudget* one = this; one != end; one = one->outer()) {
        if (one->account_.subtract(bytes)) [[unlikely]]
            one->open_again();
    }
}

std::size_t SharedBudget::block_bytes(std::size_t bytes) const noexcept {
    return slabs_ == nullptr ? std::max<std::size_t>(bytes, 1) : slabs_->block_bytes(bytes);
}

std::size_t SharedBudget::bytes_of(const void* block) const noexcept {
    return slabs_ == nullptr ? source_.usable_size(block) : slabs_->live_bytes_of(block);
}

std::byte* SharedBudget::acquire_from_source(std::size_t bytes, bool zeroed) noexcept {
    if (slabs_ != nullptr) [[likely]] {
        // Large blocks are never at hand.
        if (bytes > SizeClasses::largest) return slabs_->acquire_slow(bytes, zeroed);
        return zeroed ? slabs_->try_acquire_zeroed(bytes) : slabs_->try_acquire(bytes);
    }
    return zeroed ? source_.try_acquire_zeroed(bytes) : source_.try_acquire(bytes);
}

/// Ends an addition of the fast path: the slow path makes it again, and looks at the soft limit and
/// the peak.
[[gnu::cold]] pools::FreeBlock SharedBudget::undone(std::size_t after, std::size_t size) noexcept {
    if (after != 0 && account_.subtract(size)) open_again();
    return {nullptr, false};
}

std::byte* SharedBudget::acquire_slow(std::size_t bytes, bool zeroed) noexcept {
    const std::size_t charged = block_bytes(bytes);
    const std::size_t after = charge(charged);
    if (after == 0) [[unlikely]] {
        account_.count_failure();
        return nullptr;
    }
    std::byte* block = acquire_from_source(bytes, zeroed);
    if (slabs_ == nullptr && block != nullptr) [[unlikely]]
        block = settled(block, bytes, charged);
    else if (block == nullptr) [[unlikely]]
        discharge(charged);
    if (block == nullptr) [[unlikely]] {
        account_.count_failure();
        return nullptr;
    }
    times_.note(block, bytes);
    account_.count_request(bytes);
    account_.note_peak(after);
    for (SharedBudget* one = outer(); one != nullptr; one = one->outer()) {
        one->account_.count_request(bytes);
        one->account_.note_peak(one->account_.in_use());
    }
    return block;
}

/// A new block, once it counts with its own size. Null, and it went back, where that is refused.
std::byte* SharedBudget::settled(std::byte* block, std::size_t bytes,
                                 std::size_t charged) noexcept {
    const std::size_t size = bytes_of(block);
    if (size <= charged) {
        if (size < charged) discharge(charged - size);
        return block;
    }
    if (charge(size - charged) != 0) return block;
    source_.try_release(block, bytes);
    discharge(charged);
    return nullptr;
}

bool SharedBudget::release_slow(void* block, std::size_t bytes) noexcept {
    if (block == nullptr) return true;
    const std::size_t size = bytes_of(block);
    if (size == 0) [[unlikely]]
        return false;
    const bool released = slabs_ == nullptr             ? source_.try_release(block, bytes)
                          : size > SizeClasses::largest ? slabs_->release_slow(block, bytes)
                                                        : slabs_->try_release(block, bytes);
    if (!released) [[unlikely]]
        return false;
    discharge(size);
    for (SharedBudget* one = this; one != nullptr; one = one->outer())
        one->account_.count_release();
    return true;
}

std::byte* SharedBudget::try_reallocate(void* block, std::size_t bytes) noexcept {
    if (block == nullptr) return try_acquire(bytes);
    const std::size_t old = bytes_of(block);
    if (old == 0) return nullptr;
    auto* const start = static_cast<std::byte*>(block);
    if (slabs_ == nullptr && bytes > old) return move_elsewhere(start, old, bytes);
    const std::size_t wanted = block_bytes(bytes);
    const std::size_t more = wanted > old ? wanted - old : 0;
    if (more != 0 && charge(more) == 0) {
        account_.count_failure();
        return nullptr;
    }
    std::byte* const moved = source_.try_reallocate(block, bytes);
    const std::size_t now = moved == nullptr ? old : bytes_of(moved);
    // A block never takes more than `wanted`, or than before.
    if (old + more > now) discharge(old + more - now);
    if (moved == nullptr) return nullptr;
    times_.note(moved, now);
    for (SharedBudget* one = this; one != nullptr; one = one->outer())
        one->account_.note_peak(one->account_.in_use());
    return moved;
}

/// The size of a block that another pool moves is known only afterwards, when the limit may be
/// exceeded already.
std::byte* SharedBudget::move_elsewhere(std::byte* block, std::size_t old,
                                        std::size_t bytes) noexcept {
    std::byte* const moved = acquire_slow(bytes, false);
    if (moved == nullptr) return nullptr;
    std::memcpy(moved, block, std::min(old, bytes));
    try_release(block, 0);
    return moved;
}

void SharedBudget::stop_at_soft(const std::string& why) {
    const Lock lock{mutex_};
    why_stopped_ = why;
    if (!closed_ && account_.in_use() > account_.soft) account_.set_ceiling(account_.soft);
}

[[gnu::cold]] void SharedBudget::open_again() noexcept {
    if (account_.ceiling() == account_.limit) return;
    const Lock lock{mutex_};
    if (!closed_) account_.set_ceiling(account_.limit);
}

std::byte* SharedBudget::try_acquire_held(std::size_t bytes) noexcept {
    std::byte* const block = try_acquire(bytes);
    if (block != nullptr) add_handle();
    return block;
}

std::byte* SharedBudget::acquire(std::size_t bytes) {
    std::byte* const block = try_acquire_held(bytes);
    if (block != nullptr) return block;
    require_open();
    throw Exhausted{refusal(bytes)};
}

void SharedBudget::release(std::byte* block, std::size_t bytes) noexcept {
    if (!try_release(block, bytes)) {
        std::fprintf(stderr, "numpool: %s: block %p is not its own\n", title().c_str(),
                     static_cast<void*>(block));
        std::abort();
    }
    drop_handle();
}

void SharedBudget::close() noexcept {
    PoolLifecycle::close();
    const Lock lock{mutex_};
    account_.set_ceiling(0);
}

bool SharedBudget::counts_against(const SharedBudget& other) const noexcept {
    const SharedBudget* one = this;
    while (one != nullptr && one != &other) one = one->outer();
    return one != nullptr;
}

[[gnu::cold]] std::string SharedBudget::refusal(std::size_t bytes) const {
    const std::size_t size = block_bytes(bytes);
    for (const SharedBudget* one = this; one != nullptr; one = one->outer()) {
        if (one->closed()) return one->closed_text();
        if (!one->account_.has_room_for(size)) return one->refusal_text(bytes);
    }
    return source_.refusal(bytes);
}

[[gnu::cold]] std::string SharedBudget::refusal_text(std::size_t bytes) const {
    const std::size_t used = account_.in_use();
    std::string text = title() + ": " + count_to_text(bytes, "byte");
    if (bytes >= 1024) text += " (" + size_to_text(bytes) + ")";
    text += " requested, " + size_to_text(used) + " of a limit of " + size_to_text(limit()) +
            " in use; ";
    const Lock lock{mutex_};
    if (account_.ceiling() < limit()) {
        return text + "since on_soft raised " + why_stopped_ + ", its soft limit of " +
               size_to_text(soft()) + " holds: release arrays";
    }
    if (bytes > limit()) return text + "that is more than the limit: raise the limit";
    return text + (used == 0 ? "rounded up, that is more than the limit: raise the limit"
                             : "release arrays or raise the limit");
}

[[gnu::cold]] void SharedBudget::check() const {
    const PoolFigures figures = account_.figures();
    if (figures.in_use > figures.limit) {
        throw Corrupted{title() + ": " + std::to_string(figures.in_use) +
                        " bytes in use are more than its limit"};
    }
}

}  // namespace numpool::threads
