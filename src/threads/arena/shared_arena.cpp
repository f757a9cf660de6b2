#include "threads/arena/shared_arena.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "base/error.hpp"
#include "base/size_text.hpp"

namespace numpool::threads {
namespace {

/// Of all families: who is whose child. Taken before any arena's own lock.
class Families final : public ForkGuarded {
  public:
    Families() { guard(Rank::family); }
    std::mutex& mutex() noexcept { return mutex_; }

  private:
    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override { mutex_.unlock(); }

    std::mutex mutex_;
};

/// Never destroyed: arenas come and go while the process exits.
std::mutex& families_mutex() {
    static auto* const families = new Families;
    return families->mutex();
}

/// In debug builds every operation is followed by a check, on arenas small enough for it.
void check_each_time([[maybe_unused]] const std::optional<pools::Arena>& arena) {
#ifdef NUMPOOL_CHECKS
    if (arena && arena->mapped() <= (std::size_t{256} << 10)) arena->check();
#endif
}

std::string by_address(const SharedArena::Used& block) {
    std::array<char, 32> address{};
    std::snprintf(address.data(), address.size(), "%p", static_cast<const void*>(block.start));
    return (block.has_ticket ? "Buffer of " : "") + std::to_string(block.bytes) + " bytes at " +
           address.data();
}

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
    : source_{std::move(source)},
      parent_{std::move(parent)},
      arena_{std::in_place, options.chunk_size, *source_},
      chunk_size_{arena_->chunk_size()},
      name_{options.name} {
    guard(source_.is_kept() ? Rank::drawing : Rank::outer);
}

void SharedArena::join_family() {
    if (parent_.get() == nullptr) return;
    const std::lock_guard families{families_mutex()};
    const Lock lock{parent_->mutex_};
    parent_->require_open();
    parent_->children_.push_back({++parent_->last_child_, this});
}

SharedArena::~SharedArena() {
    unguard();
}

void SharedArena::require_open() const {
    if (closed_) throw Closed{title() + " is closed and takes no more requests"};
}

[[gnu::cold]] std::string SharedArena::refusal(std::size_t bytes) const {
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
    check_each_time(arena_);
    return block;
}

SharedArena::Idle SharedArena::acquire(std::size_t bytes) {
    const Idle block = try_acquire_idle(bytes);
    if (block.start != nullptr) return block;
    const Lock lock{mutex_};
    require_open();
    throw Exhausted{refusal(bytes)};
}

SharedArena::Mark SharedArena::mark() {
    const std::lock_guard families{families_mutex()};
    const Lock lock{mutex_};
    require_open();
    return {arena_->mark(), last_child_};
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
    std::array<Used, named_in_errors> room;
    std::span<Used> first{room};
    {
        const Lock lock{mutex_};
        if (!arena_ || !arena_->knows(mark.place)) return;
        usage.blocks += arena_->used_since(mark.place, first);
    }
    for (const Used& one : first) {
        if (usage.first.size() < named_in_errors) usage.first.push_back({one, {}});
    }
}

std::size_t SharedArena::uses_since(const Mark& mark) const noexcept {
    const Lock lock{mutex_};
    return arena_ && arena_->knows(mark.place) ? arena_->uses_since(mark.place) : 0;
}

[[gnu::cold]] std::string SharedArena::text_of(const Usage& usage) {
    std::string text = std::to_string(usage.blocks) +
                       (usage.blocks == 1 ? " block is" : " blocks are") +
                       " still in use by arrays or views";
    const char* separator = ": ";
    for (const Named& one : usage.first) {
        text += separator + (one.what.empty() ? by_address(one.block) : one.what);
        separator = ", ";
    }
    if (usage.blocks > usage.first.size())
        text += " and " + std::to_string(usage.blocks - usage.first.size()) + " more";
    return text;
}

std::vector<PoolHandle<SharedArena>> SharedArena::children_since(const Mark& mark) const {
    std::vector<PoolHandle<SharedArena>> children;
    const std::lock_guard families{families_mutex()};
    children.reserve(children_.size());
    for (auto child = children_.rbegin(); child != children_.rend(); ++child) {
        if (child->number > mark.children && !child->arena->closed())
            children.emplace_back(child->arena);
    }
    return children;
}

bool SharedArena::try_rewind(const Mark& mark) {
    require_known(mark);
    const Lock lock{mutex_};
    if (!arena_ || !arena_->knows(mark.place)) return true;  // Ended meanwhile.
    if (arena_->uses_since(mark.place) != 0) return false;
    arena_->rewind(mark.place);
    check_each_time(arena_);
    return true;
}

bool SharedArena::try_reset() {
    const Lock lock{mutex_};
    require_open();
    if (uses() != 0) return false;
    arena_->reset();
    check_each_time(arena_);
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

void SharedArena::close() noexcept {
    const Lock lock{mutex_};
    closed_ = true;
    if (uses() == 0) end_memory();
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

/// What follows when a use, a ticket or a handle has gone: the memory goes, or the arena itself.
void SharedArena::settle(Lock& lock) noexcept {
    check_each_time(arena_);
    if (closed_ && uses() == 0) end_memory();
    if (is_reachable() || buried_) return;
    buried_ = true;
    lock.unlock();
    bury();
}

/// Deletes the arena, unless its parent has lent it a handle meanwhile.
void SharedArena::bury() noexcept {
    if (parent_.get() != nullptr) {
        const std::lock_guard families{families_mutex()};
        const Lock lock{mutex_};
        if (is_reachable()) {
            buried_ = false;
            return;
        }
        std::erase_if(parent_->children_, [&](const Child& one) { return one.arena == this; });
    }
    delete this;
}

void SharedArena::add_handle() noexcept {
    const Lock lock{mutex_};
    ++handles_;
}

void SharedArena::drop_handle() noexcept {
    Lock lock{mutex_};
    --handles_;
    settle(lock);
}

[[gnu::cold]] std::string SharedArena::title() const {
    return name_.empty() ? "Arena" : "Arena '" + name_ + "'";
}

bool SharedArena::owns(const std::byte* address) const noexcept {
    const Lock lock{mutex_};
    return arena_ && arena_->owns(address);
}

bool SharedArena::add_handle_if_owns(const std::byte* address) noexcept {
    const Lock lock{mutex_};
    if (!arena_ || !arena_->owns(address) || !is_reachable()) return false;
    ++handles_;
    return true;
}

PoolFigures SharedArena::figures() const {
    const Lock lock{mutex_};
    PoolFigures figures;
    figures.limit = PoolFigures::no_limit;
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

[[gnu::cold]] void SharedArena::check() const {
    const Lock lock{mutex_};
    if (arena_) arena_->check();
}

bool SharedArena::closed() const noexcept {
    const Lock lock{mutex_};
    return closed_;
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
    settle(lock);
}

void SharedArena::release(std::byte* block, std::size_t bytes) noexcept {
    if (!try_release(block, bytes)) stop_at_foreign_block(title(), block);
}

}  // namespace numpool::threads
