/// An arena's parent and children.

#include <algorithm>
#include <iterator>
#include <mutex>

#include "threads/arena/shared_arena.hpp"

namespace numpool::threads {
namespace {

/// Its mutex guards the lists of children of all arenas. It is taken before any arena's own lock.
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

}  // namespace

void SharedArena::join_family() {
    if (parent_.get() == nullptr) return;
    const std::lock_guard families{families_mutex()};
    const Lock lock{parent_->mutex_};
    parent_->require_open();
    parent_->children_.push_back({++parent_->last_child_, this});
}

SharedArena::~SharedArena() {
    if (parent_.get() == nullptr) return;
    const std::lock_guard families{families_mutex()};
    std::erase_if(parent_->children_, [&](const Child& one) { return one.arena == this; });
}

SharedArena::Mark SharedArena::mark() {
    const std::lock_guard families{families_mutex()};
    const Lock lock{mutex_};
    require_open();
    return {arena_->mark(), last_child_};
}

std::vector<PoolHandle<SharedArena>> SharedArena::children_since(const Mark& mark) const {
    std::vector<PoolHandle<SharedArena>> children;
    const std::lock_guard families{families_mutex()};
    children.reserve(children_.size());
    // Clang 14 has no views::reverse of libstdc++'s vectors.
    for (auto newest = children_.rbegin(); newest != children_.rend(); ++newest) {
        const Child& child = *newest;
        if (child.number <= mark.children || child.arena->closed()) continue;
        // A child that is about to be deleted gets no new handle.
        if (!child.arena->add_handle_if_reachable()) continue;
        children.emplace_back(child.arena);
        child.arena->drop_handle();
    }
    return children;
}

/// Visits the arena and its descendants that were made since the mark: each before its children,
/// the newest child first. It is a loop, since families may be deeper than the C stack.
template <class Visit>
void SharedArena::for_each_of_family(const Mark& since, Visit visit) const {
    const auto add_children_of = [](const SharedArena& one, const Mark& mark, auto& left) {
        auto children = one.children_since(mark);
        std::move(children.rbegin(), children.rend(), std::back_inserter(left));
    };
    visit(*this, since);
    std::vector<PoolHandle<SharedArena>> left;
    add_children_of(*this, since, left);
    while (!left.empty()) {
        const PoolHandle<SharedArena> next = std::move(left.back());
        left.pop_back();
        visit(*next, next->beginning());
        add_children_of(*next, next->beginning(), left);
    }
}

void SharedArena::add_usage_of_family(const Mark& mark, Usage& usage) const {
    for_each_of_family(mark, [&](const SharedArena& one, const Mark& since) {
        const std::size_t known = usage.first.size();
        one.add_usage(since, usage);
        for (std::size_t i = known; i < usage.first.size(); ++i) one.name(usage.first[i]);
    });
}

std::size_t SharedArena::uses_of_family_since(const Mark& mark) const {
    std::size_t uses = 0;
    for_each_of_family(
        mark, [&](const SharedArena& one, const Mark& since) { uses += one.uses_since(since); });
    return uses;
}

}  // namespace numpool::threads
