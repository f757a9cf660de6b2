#include "threads/arena/shared_arena.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "base/error.hpp"
#include "base/size_text.hpp"

namespace numpool::threads {
namespace {

[[noreturn]] void stop_at_foreign_block(const std::string& title, const void* block) {
    std::fprintf(stderr, "numpool: %s: block %p is not its own\n", title.c_str(), block);
    std::abort();
}

}  // namespace

PoolHandle<SharedArena> SharedArena::create(const SharedArenaOptions& options,
                                            pages::SourceHandle source,
                                            PoolHandle<SharedArena> parent) {
    PoolHandle arena{new SharedArena{options, std::move(source), std::move(parent)}};
    arena->join_family();
    return arena;
}

SharedArena::SharedArena(const SharedArenaOptions& options, pages::SourceHandle source,
                         PoolHandle<SharedArena> parent)
    : PoolLifecycle{"Arena", options.name, rank_on(source)},
      source_{std::move(source)},
      parent_{std::move(parent)},
      arena_{std::in_place, options.chunk_size, *source_},
      chunk_size_{arena_->chunk_size()} {
    follow_at_fork(*source_);
}

void SharedArena::check_each_time() const noexcept {
#ifdef NUMPOOL_CHECKS
    if (arena_ && arena_->mapped() <= (std::size_t{256} << 10)) arena_->check();
#endif
}

[[gnu::cold]] std::string SharedArena::refusal_text(std::size_t bytes) const {
    return title() + ": " + size_to_text(bytes) + " requested, " + size_to_text(arena_->mapped()) +
           " taken so far" + source_->refusal_clause();
}

SharedArena::Idle SharedArena::try_acquire_idle(std::size_t bytes) {
    const Lock lock{mutex_};
    require_open();
    const Idle block = arena_->acquire_idle(bytes);
    if (block.start == nullptr) {
        ++failures_;
    } else {
        note_request(bytes);
        ++tickets_;
    }
    check_each_time();
    return block;
}

SharedArena::Idle SharedArena::acquire(std::size_t bytes) {
    const Idle block = try_acquire_idle(bytes);
    if (block.start != nullptr) return block;
    const Lock lock{mutex_};
    require_open();
    throw Exhausted{refusal_text(bytes)};
}

SharedArena::Mark SharedArena::beginning() const noexcept {
    const Lock lock{mutex_};
    return {arena_ ? arena_->beginning() : pools::Arena::Mark{}, 0};
}

void SharedArena::require_known(const Mark& mark) const {
    const Lock lock{mutex_};
    require_open();
    if (arena_->knows(mark.place)) return;
    throw BadArgument{title() +
                      ": this mark is of a state that the arena has left, by reset() or "
                      "by rewind() to an older mark"};
}

void SharedArena::add_usage(const Mark& mark, Usage& usage) const {
    std::array<Used, Usage::named_in_errors> room;
    std::span<Used> first{room};
    {
        const Lock lock{mutex_};
        if (!arena_ || !arena_->knows(mark.place)) return;
        usage.blocks += arena_->used_since(mark.place, first);
    }
    for (const Used& one : first) {
        if (usage.first.size() < Usage::named_in_errors) usage.first.push_back({one, {}});
    }
}

std::size_t SharedArena::uses_since(const Mark& mark) const noexcept {
    const Lock lock{mutex_};
    return arena_ && arena_->knows(mark.place) ? arena_->uses_since(mark.place) : 0;
}

bool SharedArena::try_rewind(const Mark& mark) {
    require_known(mark);
    const Lock lock{mutex_};
    if (!arena_ || !arena_->knows(mark.place)) return true;  // Ended meanwhile.
    if (arena_->uses_since(mark.place) != 0) return false;
    arena_->rewind(mark.place);
    check_each_time();
    return true;
}

bool SharedArena::try_reset() {
    const Lock lock{mutex_};
    require_open();
    if (uses() != 0) return false;
    arena_->reset();
    check_each_time();
    return true;
}

bool SharedArena::try_close() noexcept {
    const Lock lock{mutex_};
    if (closed_) return true;
    if (uses() != 0) return false;
    closed_ = true;
    end_memory();
    return true;
}

std::size_t SharedArena::uses() const noexcept {
    return arena_ ? arena_->uses_since(arena_->beginning()) : 0;
}

void SharedArena::end_memory() noexcept {
    if (!arena_) return;
    growths_ = arena_->growths();
    peak_ = arena_->peak();
    peak_mapped_ = arena_->peak_mapped();
    arena_.reset();
}

bool SharedArena::contains(const std::byte* address) const noexcept {
    return arena_ && arena_->owns(address);
}

PoolFigures SharedArena::figures() const {
    const Lock lock{mutex_};
    PoolFigures figures;
    figures.limit = PoolFigures::no_limit;
    figures.in_file = source_->bytes_on_disk();
    figures.requests = requests_;
    figures.asked = asked_;
    figures.failures = failures_;
    figures.growths = arena_ ? arena_->growths() : growths_;
    figures.peak = arena_ ? arena_->peak() : peak_;
    figures.peak_committed = arena_ ? arena_->peak_mapped() : peak_mapped_;
    figures.hits = requests_ - std::min(requests_, figures.growths);
    if (!arena_) return figures;
    const pools::Arena::Tally tally = arena_->tally();
    figures.requested = tally.requested;
    figures.in_use = tally.in_use;
    figures.blocks = tally.blocks;
    figures.mapped = figures.committed = arena_->mapped();
    figures.cached = figures.committed - std::min(figures.committed, figures.in_use);
    return figures;
}

std::size_t SharedArena::trim() {
    const Lock lock{mutex_};
    return arena_ ? arena_->trim() : 0;
}

void SharedArena::reset_peak() noexcept {
    const Lock lock{mutex_};
    if (arena_) arena_->reset_peak();
}

[[gnu::cold]] std::string SharedArena::refusal(std::size_t bytes) const {
    const Lock lock{mutex_};
    return arena_ ? refusal_text(bytes) : closed_text();
}

[[gnu::cold]] void SharedArena::check() const {
    const Lock lock{mutex_};
    if (arena_) arena_->check();
}

bool SharedArena::is_current(std::uint64_t ticket) const noexcept {
    const Lock lock{mutex_};
    return arena_ && arena_->is_current(ticket);
}

bool SharedArena::begin_use(std::byte* block, std::uint64_t ticket) noexcept {
    const Lock lock{mutex_};
    return arena_ && arena_->begin_use(block, ticket);
}

std::size_t SharedArena::uses_of(const std::byte* block, std::uint64_t ticket) const noexcept {
    const Lock lock{mutex_};
    return arena_ ? arena_->uses_of(block, ticket) : 0;
}

void SharedArena::drop(std::byte* block, std::uint64_t ticket) noexcept {
    Lock lock{mutex_};
    --tickets_;
    if (arena_) arena_->drop(block, ticket);
    check_each_time();
    end_if_unused(lock);
}

void SharedArena::release(std::byte* block, std::size_t bytes) noexcept {
    if (!try_release(block, bytes)) stop_at_foreign_block(title(), block);
}

}  // namespace numpool::threads
