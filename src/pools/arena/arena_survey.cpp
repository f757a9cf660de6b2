/// Walks over all blocks of an arena, for errors and for `check`.

#include <string>

#include "base/error.hpp"
#include "pools/arena/arena.hpp"

namespace numpool::pools {

/// Calls `visit(chunk, header)` for every block, live or dead, from the newest to the oldest.
template <class Visit>
void Arena::for_each_block(Visit visit) const {
    Chunk* small = current_;
    Chunk* large = large_.last;
    while (small != nullptr || large != nullptr) {
        if (small == nullptr || (large != nullptr && large->number > small->number)) {
            visit(*large, large->large);
            large = large->older;
            continue;
        }
        for (Header* header = small->last; header != nullptr; header = before(header))
            visit(*small, *header);
        small = small->older;
    }
}

std::size_t Arena::used_since(const Mark& mark, std::span<Used>& first) const noexcept {
    std::size_t used = 0;
    for_each_block([&](const Chunk& chunk, const Header& header) {
        if ((header.users & ~ticket_held) == 0) return;
        const auto& level = const_cast<Arena*>(this)->level_of(chunk, header);
        if (&level < &levels_[mark.level]) return;
        // The newest blocks come first, so the last ones written are the oldest.
        if (!first.empty()) {
            const std::byte* const start = chunk.is_large ? chunk.pages.start : start_of(&header);
            first[used % first.size()] = {start, header.bytes, (header.users & ticket_held) != 0};
        }
        ++used;
    });
    if (used < first.size()) {
        first = first.first(used);
    } else if (!first.empty()) {
        // Clang 14 has no ranges::rotate over a span.
        std::rotate(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(used % first.size()),
                    first.end());
    }
    std::ranges::reverse(first);
    return used;
}

[[gnu::cold]] void Arena::check_chunk(const Chunk& chunk) const {
    if (chunk.top < chunk.pages.start || chunk.top > chunk.pages.end())
        throw Corrupted{"a chunk's top lies outside of the chunk"};
    const std::byte* limit = chunk.top;
    std::size_t live = 0;
    for (const Header* header = chunk.last; header != nullptr; header = before(header)) {
        const std::byte* const start = start_of(header);
        if (start - header_bytes < chunk.pages.start || header->bytes > chunk.pages.bytes ||
            end_of(header) > limit) {
            throw Corrupted{"a header does not fit into its place"};
        }
        limit = start - header_bytes;
        if (header->users != 0) ++live;
    }
    if (chunk.number > levels_.back().number && &chunk != small_.first && live != chunk.blocks)
        throw Corrupted{"the number of a chunk's live blocks is wrong"};
    if (live == 0 && chunk.number > levels_.back().number && &chunk != small_.first &&
        &chunk != current_)
        throw Corrupted{"a chunk whose blocks are all dead was not given back"};
}

[[gnu::cold]] void Arena::check_chains() const {
    std::size_t chunks = 0;
    std::size_t larges = 0;
    std::size_t count = 0;
    const auto check_record = [&](const Chunk& chunk) {
        const auto record = chunks_.find(chunk.pages.start);
        if (record == chunks_.end() || &record->second != &chunk)
            throw Corrupted{"an extent is not found by its address"};
        ++count;
    };
    bool is_current_there = current_ == &none_ && small_.first == nullptr;
    for (const Chunk* chunk = small_.last; chunk != nullptr; chunk = chunk->older) {
        check_record(*chunk);
        const Chunk* const older = chunk->older;
        if (older != nullptr && (older->position >= chunk->position ||
                                 (!is_spare(*chunk) && older->number >= chunk->number)))
            throw Corrupted{"chunks are out of order"};
        if (!is_spare(*chunk)) check_chunk(*chunk);
        is_current_there = is_current_there || chunk == current_;
        chunks += chunk->pages.bytes;
    }
    for (const Chunk* chunk = large_.last; chunk != nullptr; chunk = chunk->older) {
        check_record(*chunk);
        if (chunk->older != nullptr && chunk->older->number >= chunk->number)
            throw Corrupted{"large blocks are out of order"};
        larges += chunk->pages.bytes;
    }
    if (!is_current_there) throw Corrupted{"the current chunk is not in the list"};
    if (chunks != chunk_bytes_ || chunks + larges != mapped_ || count != chunks_.size())
        throw Corrupted{"the number of extents or of their bytes is wrong"};
}

[[gnu::cold]] void Arena::check() const {
    check_chains();
    std::vector<Tally> found(levels_.size());
    for_each_block([&](const Chunk& chunk, const Header& header) {
        if (header.users == 0) return;
        const auto& level = const_cast<Arena*>(this)->level_of(chunk, header);
        found[static_cast<std::size_t>(&level - levels_.data())] +=
            {header.users & ~ticket_held, 1, header.bytes, cost(header.bytes)};
    });
    std::size_t in_use = 0;
    for (std::size_t i = 0; i < levels_.size(); ++i) {
        if (found[i] != levels_[i].tally) throw Corrupted{"the counts of live blocks are wrong"};
        in_use += found[i].in_use;
    }
    if (in_use != in_use_ || in_use_ > peak_) throw Corrupted{"the bytes in use are wrong"};
    std::uint64_t reach = 0;
    for (const Level& level : levels_) reach = std::max(reach, level.reach);
    if (current_->position > reach)
        throw Corrupted{"the current chunk lies beyond the reach of all levels"};
}

}  // namespace numpool::pools
