#include "pools/arena/arena.hpp"

#include <cstring>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "base/size_text.hpp"

namespace numpool::pools {
namespace {

std::size_t checked_chunk_size(std::size_t bytes) {
    if (bytes == 0) throw BadArgument{"chunk_size is 0: an arena needs at least a byte"};
    if (bytes > Arena::largest_chunk) {
        throw BadArgument{"chunk_size is " + std::to_string(bytes) + ": at most " +
                          size_to_text(Arena::largest_chunk) +
                          " make sense, since large requests get memory of their own"};
    }
    return bytes;
}

}  // namespace

Arena::Tally& Arena::Tally::operator+=(const Tally& other) noexcept {
    uses += other.uses;
    blocks += other.blocks;
    requested += other.requested;
    in_use += other.in_use;
    return *this;
}

Arena::Arena(std::size_t chunk_size, pages::PageSource& source)
    : largest_small_{round_up(checked_chunk_size(chunk_size), source.granularity()) / 4},
      levels_(1),
      source_{source},
      chunk_size_{round_up(chunk_size, source.granularity())} {
    levels_.front().id = levels_.front().generation = ++last_id_;
}

Arena::~Arena() {
    for (const auto& [start, chunk] : chunks_) source_.unmap(chunk.pages);
}

std::byte* Arena::place_slowly(std::size_t bytes, std::uint32_t users, bool zeroed) noexcept {
    if (bytes > max_size) return nullptr;
    if (bytes > largest_small_) return place_large(bytes, users, zeroed);
    return add_chunk() ? put(bytes, users) : nullptr;
}

std::byte* Arena::acquire_zeroed(std::size_t bytes) noexcept {
    if (bytes > largest_small_) return place_slowly(bytes, 1, true);
    std::byte* const block = place(bytes, 1);
    if (block != nullptr) std::memset(block, 0, bytes);
    return block;
}

std::byte* Arena::place_large(std::size_t bytes, std::uint32_t users, bool zeroed) noexcept {
    Chunk* const chunk = add_record(map_large(bytes, zeroed));
    if (chunk == nullptr) return nullptr;
    chunk->number = ++last_number_;
    chunk->is_large = true;
    chunk->large = {bytes, 0, users};
    chunk->blocks = 1;
    large_.append(*chunk);
    count(bytes, users);
    return chunk->pages.start;
}

std::size_t Arena::size_of(const std::byte* block) const noexcept {
    Chunk* const chunk = find(block);
    return chunk == nullptr ? 0 : header_of(*chunk, const_cast<std::byte*>(block)).bytes;
}

std::size_t Arena::usable_size(const std::byte* block) const noexcept {
    return find(block) == nullptr ? 0 : rounded(size_of(block));
}

bool Arena::begin_use(std::byte* block, std::uint64_t ticket) noexcept {
    if (!is_current(ticket)) return false;
    Chunk& chunk = *find(block);
    Header& header = header_of(chunk, block);
    ++header.users;
    ++level_of(chunk, header).tally.uses;
    return true;
}

std::size_t Arena::uses_of(const std::byte* block, std::uint64_t ticket) const noexcept {
    if (!is_current(ticket)) return 0;
    return header_of(*find(block), const_cast<std::byte*>(block)).users & ~ticket_held;
}

void Arena::end_use(std::byte* block) noexcept {
    Chunk& chunk = *find(block);
    Header& header = header_of(chunk, block);
    --level_of(chunk, header).tally.uses;
    if (--header.users == 0) end(chunk, header);
}

void Arena::drop(std::byte* block, std::uint64_t ticket) noexcept {
    if (!is_current(ticket)) return;
    Chunk& chunk = *find(block);
    Header& header = header_of(chunk, block);
    header.users &= ~ticket_held;
    if (header.users == 0) end(chunk, header);
}

/// Ends a block. Its room is reused if that is cheap.
void Arena::end(Chunk& chunk, Header& header) noexcept {
    Level& level = level_of(chunk, header);
    --level.tally.blocks;
    level.tally.requested -= header.bytes;
    level.tally.in_use -= cost(header.bytes);
    in_use_ -= cost(header.bytes);
    --chunk.blocks;
    const Level& top = levels_.back();
    if (top.tally.blocks == 0) {
        // A large block of an older level is not among those that `return_to` unmaps.
        if (&level != &top && chunk.is_large) unmap(&chunk);
        Chunk* const stays = chunk_at(top);
        while (stays != nullptr && current_ != stays)
            unmap(std::exchange(current_, current_->older));
        return return_to(top);
    }
    if (&chunk == current_) return pop();
    const bool is_empty = chunk.is_large || (chunk.blocks == 0 && chunk.number > top.number);
    if (is_empty && &chunk != small_.first) unmap(&chunk);
}

/// Pops dead blocks off the top, down to the newest mark.
void Arena::pop() noexcept {
    Chunk& chunk = *current_;
    const Level& floor = levels_.back();
    std::byte* const bottom = floor.chunk == &chunk ? floor.top : chunk.pages.start;
    while (chunk.last != nullptr && chunk.last->users == 0 && start_of(chunk.last) > bottom) {
        chunk.last = before(chunk.last);
        chunk.top = chunk.last == nullptr ? bottom : std::max(bottom, end_of(chunk.last));
    }
}

std::byte* Arena::reallocate(std::byte* block, std::size_t bytes) noexcept {
    if (bytes > max_size) return nullptr;
    Chunk& chunk = *find(block);
    Header& header = header_of(chunk, block);
    if (std::byte* const stayed = resize(chunk, header, block, bytes)) return stayed;
    const std::size_t kept = std::min(bytes, header.bytes);
    std::byte* const moved = acquire(bytes);
    // Before the refusal all spare chunks went back, so there may be room to grow now.
    if (moved == nullptr) return resize(chunk, header, block, bytes);
    std::memcpy(moved, block, kept);
    end_use(block);
    return moved;
}

/// Resizes a block without a copy; null if that is impossible, or would waste most of its extent.
std::byte* Arena::resize(Chunk& chunk, Header& header, std::byte* block,
                         std::size_t bytes) noexcept {
    const std::size_t old = header.bytes;
    Level& level = level_of(chunk, header);
    std::byte* result = block;
    if (chunk.is_large) {
        if (bytes <= largest_small_ || bytes < chunk.pages.bytes / 2) return nullptr;
        if (bytes > chunk.pages.bytes && (result = grow_large(chunk, bytes)) == nullptr)
            return nullptr;
    } else if (chunk.last == &header && &level == &levels_.back()) {
        // Only the newest level's blocks get here: a resize of older ones would move a mark's
        // place.
        if (rounded(bytes) > static_cast<std::size_t>(chunk.pages.end() - block)) return nullptr;
        chunk.top = block + rounded(bytes);
    } else if (rounded(bytes) > rounded(old)) {
        return nullptr;
    }
    header.bytes = bytes;
    level.tally.requested += bytes - old;
    level.tally.in_use += cost(bytes) - cost(old);
    in_use_ += cost(bytes) - cost(old);
    peak_ = std::max(peak_, in_use_);
    return result;
}

}  // namespace numpool::pools
