/// An arena's marks and levels, and rewinding.

#include <algorithm>

#include "pools/arena/arena.hpp"

namespace numpool::pools {

Arena::Mark Arena::mark() {
    // A level without blocks begins at this place already.
    if (levels_.back().tally.blocks != 0) {
        Level level;
        level.id = level.generation = ++last_id_;
        level.number = last_number_;
        level.chunk = current_ == &none_ ? nullptr : current_;
        level.top = current_->top;
        level.last = current_->last;
        level.reach = current_->position;
        levels_.push_back(level);
    }
    return {levels_.size() - 1, levels_.back().id};
}

bool Arena::knows(const Mark& mark) const noexcept {
    return mark.level < levels_.size() && levels_[mark.level].id == mark.id;
}

/// Generations grow with the levels, because only the newest level gets a new one.
bool Arena::is_current(std::uint64_t ticket) const noexcept {
    return levels_.back().generation == ticket ||
           std::ranges::binary_search(levels_, ticket, {}, &Level::generation);
}

Arena::Level& Arena::level_of(const Chunk& chunk, const Header& header) noexcept {
    const auto begins_before = [&](const Level& level) {
        return chunk.number > level.number ||
               (&chunk == level.chunk && start_of(&header) > level.top);
    };
    if (levels_.size() == 1) return levels_.front();
    // The levels that begin before the block come first, and the last of them is its own.
    return *std::prev(std::partition_point(levels_.begin(), levels_.end(), begins_before));
}

std::size_t Arena::uses_since(const Mark& mark) const noexcept {
    std::size_t uses = 0;
    for (std::size_t i = mark.level; i < levels_.size(); ++i) uses += levels_[i].tally.uses;
    return uses;
}

Arena::Tally Arena::tally() const noexcept {
    Tally sum;
    for (const Level& level : levels_) sum += level.tally;
    return sum;
}

void Arena::rewind(const Mark& mark) noexcept {
    std::uint64_t reach = 0;
    for (std::size_t i = mark.level; i < levels_.size(); ++i) {
        in_use_ -= levels_[i].tally.in_use;
        reach = std::max(reach, levels_[i].reach);
    }
    levels_.resize(mark.level + 1);
    Level& level = levels_.back();
    level.tally = {};
    level.generation = ++last_id_;
    return_to(level);
    if (level.was_rewound) unmap_spares(reach);
    level.was_rewound = true;
    level.reach = current_->position;
    if (mark.level == 0) return;
    std::uint64_t& reach_below = levels_[mark.level - 1].reach;
    reach_below = std::max(reach_below, reach);
}

void Arena::reset() noexcept {
    rewind(beginning());
    levels_.front().id = ++last_id_;
}

/// Makes the beginning of the newest level the top again. None of its blocks may be live.
void Arena::return_to(const Level& level) noexcept {
    while (large_.last != nullptr && large_.last->number > level.number) unmap(large_.last);
    Chunk* const stays = chunk_at(level);
    if (stays == nullptr) return;
    current_ = stays;
    stays->top = level.chunk != nullptr ? level.top : stays->pages.start;
    stays->last = level.chunk != nullptr ? level.last : nullptr;
    if (level.chunk == nullptr) stays->blocks = 0;
}

}  // namespace numpool::pools
