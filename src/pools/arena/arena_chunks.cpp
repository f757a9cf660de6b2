/// An arena's extents: how they are mapped, found and unmapped.

#include <new>
#include <utility>

#include "pools/arena/arena.hpp"

namespace numpool::pools {
namespace {

/// Chunks double up to this size, so that a large region has few of them.
constexpr std::size_t doubling_ends = std::size_t{64} << 20;
constexpr std::size_t chunk_align = 64;

}  // namespace

void ArenaChain::append(ArenaChunk& chunk) noexcept {
    chunk.older = last;
    (last != nullptr ? last->newer : first) = &chunk;
    last = &chunk;
}

void ArenaChain::remove(ArenaChunk& chunk) noexcept {
    (chunk.newer != nullptr ? chunk.newer->older : last) = chunk.older;
    (chunk.older != nullptr ? chunk.older->newer : first) = chunk.newer;
}

/// Makes the next spare chunk current, or a new one.
bool Arena::add_chunk() noexcept {
    Chunk* const chunk = current_->newer != nullptr ? current_->newer : map_chunk();
    if (chunk == nullptr) return false;
    chunk->number = ++last_number_;
    chunk->top = chunk->pages.start;
    chunk->last = nullptr;
    chunk->blocks = 0;
    current_ = chunk;
    levels_.back().reach = std::max(levels_.back().reach, chunk->position);
    return true;
}

/// Maps a chunk as large as all chunks together. If that is refused, maps one of `chunk_size`.
/// There is no spare chunk then that could go back first.
Arena::Chunk* Arena::map_chunk() noexcept {
    const std::size_t most = std::max(chunk_size_, doubling_ends);
    const std::size_t wanted = std::clamp(chunk_bytes_, chunk_size_, most);
    Chunk* chunk = add_record(source_.map_any(wanted, chunk_align));
    if (chunk == nullptr && wanted > chunk_size_)
        chunk = add_record(source_.map_any(chunk_size_, chunk_align));
    if (chunk == nullptr) return nullptr;
    chunk->position = ++last_position_;
    chunk_bytes_ += chunk->pages.bytes;
    small_.append(*chunk);
    return chunk;
}

/// If that is refused, unmaps all spare chunks and tries again.
pages::Extent Arena::map_large(std::size_t bytes, bool zeroed) noexcept {
    const auto map = [&] {
        return zeroed ? source_.map(bytes, chunk_align) : source_.map_any(bytes, chunk_align);
    };
    const pages::Extent extent = map();
    return extent || unmap_spares(0) == 0 ? extent : map();
}

/// Makes a record of an extent. If there is no memory for it, unmaps the extent.
Arena::Chunk* Arena::add_record(pages::Extent extent) noexcept {
    if (!extent) return nullptr;
    Chunk* chunk = nullptr;
    try {
        chunk = &chunks_[extent.start];
    } catch (const std::bad_alloc&) {
        source_.unmap(extent);
        return nullptr;
    }
    chunk->pages = extent;
    note_mapped(extent.bytes);
    ++growths_;
    return chunk;
}

std::byte* Arena::grow_large(Chunk& chunk, std::size_t bytes) noexcept {
    const std::byte* const start = chunk.pages.start;
    const pages::Extent grown = source_.grow_any(chunk.pages, bytes);
    if (!grown) return nullptr;
    note_mapped(grown.bytes - chunk.pages.bytes);
    chunk.pages = grown;
    if (grown.start != start) {
        auto record = chunks_.extract(start);
        record.key() = grown.start;
        chunks_.insert(std::move(record));
    }
    return grown.start;
}

void Arena::unmap(Chunk* chunk) noexcept {
    (chunk->is_large ? large_ : small_).remove(*chunk);
    const pages::Extent extent = chunk->pages;
    if (!chunk->is_large) chunk_bytes_ -= extent.bytes;
    mapped_ -= extent.bytes;
    chunks_.erase(extent.start);
    source_.unmap(extent);
}

/// Unmaps the spare chunks beyond a position. Returns their bytes.
std::size_t Arena::unmap_spares(std::uint64_t reach) noexcept {
    const std::size_t before = mapped_;
    while (small_.last != nullptr && is_spare(*small_.last) && small_.last->position > reach)
        unmap(small_.last);
    return before - mapped_;
}

std::size_t Arena::trim() noexcept {
    std::size_t bytes = unmap_spares(0);
    if (small_.first == nullptr || levels_.size() > 1 || levels_.front().tally.blocks != 0)
        return bytes;
    bytes += small_.first->pages.bytes;
    current_ = &none_;
    unmap(small_.first);
    return bytes;
}

Arena::Chunk* Arena::find(const std::byte* address) const noexcept {
    if (address >= current_->pages.start && address < current_->pages.end()) return current_;
    auto next = chunks_.upper_bound(address);
    if (next == chunks_.begin()) return nullptr;
    const Chunk& chunk = std::prev(next)->second;
    if (address >= chunk.pages.end() || is_spare(chunk)) return nullptr;
    return const_cast<Chunk*>(&chunk);
}

}  // namespace numpool::pools
