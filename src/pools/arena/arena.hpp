#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/size.hpp"
#include "pages/source/os_pages.hpp"
#include "pools/arena/arena_chunk.hpp"

namespace numpool::pools {

/// A region allocator: an allocation moves a pointer, and a reset ends all blocks at once; one
/// thread at a time.
///
/// Small blocks lie one behind the other in chunks, each behind a header of 16 bytes. A request of
/// more than a quarter of the chunk size gets an extent of its own (a large block). A block that
/// dies before a reset is only counted, with three exceptions: dead blocks on top of the current
/// chunk are popped, a chunk whose blocks are all dead goes back to the source, and so does a large
/// block.
///
/// A reset, or a rewind to a mark, makes an older chunk current. The chunks behind the current one
/// are *spare*, and are used again in their order. A cycle lasts from one rewind to a mark to the
/// next one; spare chunks that a whole cycle did not reach go back. A chunk that dies early does
/// not become spare, because an arena that is never reset would then keep its peak for ever.
///
/// A block has users. While it has a *use* (an array, a view), the arena must not end it. A
/// *ticket* does not keep it: its holder must check before each use whether the block is still
/// there.
class Arena {
  public:
    static constexpr std::size_t largest_chunk = std::size_t{1} << 30;

    /// A block that is not in use, and its ticket.
    struct Idle {
        std::byte* start = nullptr;
        std::uint64_t ticket = 0;
    };
    /// A place to rewind to.
    struct Mark {
        std::size_t level = 0;
        std::uint64_t id = 0;
    };
    /// A block in use.
    struct Used {
        const std::byte* start = nullptr;
        std::size_t bytes = 0;
        /// A ticket is held, so it may be used again later.
        bool has_ticket = false;
    };
    /// Counts of live blocks: `requested` bytes, and `in_use` bytes as rounded, with headers.
    struct Tally {
        std::size_t uses = 0;
        std::size_t blocks = 0;
        std::size_t requested = 0;
        std::size_t in_use = 0;

        Tally& operator+=(const Tally& other) noexcept;
        bool operator==(const Tally&) const noexcept = default;
    };

    /// Maps no memory yet. Throws BadArgument.
    explicit Arena(std::size_t chunk_size, pages::PageSource& source = pages::os_pages());
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    ~Arena();

    /// A block with one use; null, and nothing has changed, if memory is refused. Its start is a
    /// multiple of 16, from 1 KiB on of 64.
    std::byte* acquire(std::size_t bytes) noexcept { return place(bytes, 1); }
    /// Like `acquire`, but zeroed.
    std::byte* acquire_zeroed(std::size_t bytes) noexcept;
    /// A block with a ticket; an empty one if memory is refused.
    Idle acquire_idle(std::size_t bytes) noexcept {
        std::byte* const block = place(bytes, ticket_held);
        return {block, block == nullptr ? 0 : levels_.back().generation};
    }

    /// Whether the block of this ticket is still there.
    bool is_current(std::uint64_t ticket) const noexcept;
    /// Adds a use to the block of a ticket. False if the block is not there any more.
    bool begin_use(std::byte* block, std::uint64_t ticket) noexcept;
    /// How many uses the block of a ticket has; 0 if it is not there any more.
    std::size_t uses_of(const std::byte* block, std::uint64_t ticket) const noexcept;
    /// Ends a use. The last one also ends the block, unless a ticket is held. The block must be in
    /// use.
    void end_use(std::byte* block) noexcept;
    /// Ends the ticket, and the block if it has no use. Does nothing if the block is not there any
    /// more.
    void drop(std::byte* block, std::uint64_t ticket) noexcept;

    /// Changes the size of a block, which may move. The block must have one use and no ticket.
    /// Null, and nothing has changed, if memory is refused.
    std::byte* reallocate(std::byte* block, std::size_t bytes) noexcept;

    /// The bytes requested for the live block that starts here; 0 if it is not in the arena.
    std::size_t size_of(const std::byte* block) const noexcept;
    /// What fits into that block without moving it: at least 16; 0 if it is not in the arena.
    std::size_t usable_size(const std::byte* block) const noexcept;
    bool owns(const std::byte* address) const noexcept { return find(address) != nullptr; }

    /// Marks the place up to which there are blocks now. Throws std::bad_alloc.
    Mark mark();
    /// Whether the mark is valid: the arena was neither rewound to an older mark nor reset.
    bool knows(const Mark& mark) const noexcept;
    /// The place before all blocks.
    Mark beginning() const noexcept { return {0, levels_.front().id}; }
    /// How many blocks since the mark are in use. The oldest of them are written to `first`, which
    /// becomes shorter if they are fewer. This walks all blocks, so it is for errors only.
    std::size_t used_since(const Mark& mark, std::span<Used>& first) const noexcept;
    /// Ends every block since the mark and forgets later marks. None of the blocks may be in use.
    void rewind(const Mark& mark) noexcept;
    /// Rewinds to the beginning and forgets all marks.
    void reset() noexcept;
    /// The uses of all blocks since the mark.
    std::size_t uses_since(const Mark& mark) const noexcept;

    /// Unmaps all spare chunks, and the first chunk if there is no live block and no mark. Returns
    /// their bytes.
    std::size_t trim() noexcept;

    /// Throws Corrupted if the records contradict each other. It walks every block.
    void check() const;

    Tally tally() const noexcept;
    std::size_t chunk_size() const noexcept { return chunk_size_; }
    /// The most bytes of live blocks at once.
    std::size_t peak() const noexcept { return peak_; }
    std::size_t mapped() const noexcept { return mapped_; }
    std::size_t peak_mapped() const noexcept { return peak_mapped_; }
    void reset_peak() noexcept {
        peak_ = in_use_;
        peak_mapped_ = mapped_;
    }
    /// How many extents it has mapped so far.
    std::size_t growths() const noexcept { return growths_; }

  private:
    using Header = ArenaHeader;
    using Chunk = ArenaChunk;
    using Chain = ArenaChain;
    static constexpr std::uint32_t ticket_held = std::uint32_t{1} << 31;
    static constexpr std::size_t header_bytes = sizeof(Header);

    /// The blocks from one mark to the next. The first level begins with the arena.
    struct Level {
        std::uint64_t id = 0;
        /// The ticket of its blocks. Each rewind changes it.
        std::uint64_t generation = 0;
        /// The number of the newest extent when the level began. Its blocks are those of newer
        /// extents, and those from `top` on in `chunk`, which was current then.
        std::uint64_t number = 0;
        Chunk* chunk = nullptr;
        std::byte* top = nullptr;
        Header* last = nullptr;
        /// The highest position of a chunk used since the level began or was rewound to. Newer
        /// levels may have a higher one.
        std::uint64_t reach = 0;
        bool was_rewound = false;
        Tally tally;
    };

    static std::size_t rounded(std::size_t bytes) noexcept {
        return round_up(std::max<std::size_t>(bytes, 1), header_bytes);
    }
    /// The bytes that a block takes in its chunk.
    static std::size_t cost(std::size_t bytes) noexcept { return rounded(bytes) + header_bytes; }
    static std::byte* start_of(const Header* header) noexcept {
        return const_cast<std::byte*>(reinterpret_cast<const std::byte*>(header)) + header_bytes;
    }
    static std::byte* end_of(const Header* header) noexcept {
        return start_of(header) + rounded(header->bytes);
    }
    static Header* before(const Header* header) noexcept {
        if (header->previous == 0) return nullptr;
        return reinterpret_cast<Header*>(start_of(header) - header_bytes -
                                         header->previous * header_bytes);
    }
    static Header& header_of(Chunk& chunk, std::byte* block) noexcept {
        return chunk.is_large ? chunk.large : *reinterpret_cast<Header*>(block - header_bytes);
    }

    std::byte* place(std::size_t bytes, std::uint32_t users) noexcept {
        std::byte* const block = bytes <= largest_small_ ? put(bytes, users) : nullptr;
        return block != nullptr ? block : place_slowly(bytes, users, false);
    }
    /// A block on top of the current chunk, or null if there is no room.
    std::byte* put(std::size_t bytes, std::uint32_t users) noexcept {
        Chunk& chunk = *current_;
        const auto top = reinterpret_cast<std::uintptr_t>(chunk.top);
        const std::size_t align = bytes < 1024 ? header_bytes : 64;
        const std::size_t gap = round_up(top + header_bytes, align) - top;
        const std::size_t size = rounded(bytes);
        if (gap + size > static_cast<std::size_t>(chunk.pages.end() - chunk.top)) [[unlikely]]
            return nullptr;
        std::byte* const block = chunk.top + gap;
        auto* const header = reinterpret_cast<Header*>(block - header_bytes);
        header->bytes = bytes;
        header->previous =
            chunk.last == nullptr ? 0 : static_cast<std::uint32_t>(header - chunk.last);
        header->users = users;
        chunk.last = header;
        chunk.top = block + size;
        ++chunk.blocks;
        count(bytes, users);
        return block;
    }
    void count(std::size_t bytes, std::uint32_t users) noexcept {
        Tally& tally = levels_.back().tally;
        tally.uses += users == 1 ? 1 : 0;
        ++tally.blocks;
        tally.requested += bytes;
        tally.in_use += cost(bytes);
        in_use_ += cost(bytes);
        peak_ = std::max(peak_, in_use_);
    }

    std::byte* place_slowly(std::size_t bytes, std::uint32_t users, bool zeroed) noexcept;
    std::byte* place_large(std::size_t bytes, std::uint32_t users, bool zeroed) noexcept;
    std::byte* resize(Chunk& chunk, Header& header, std::byte* block, std::size_t bytes) noexcept;
    std::byte* grow_large(Chunk& chunk, std::size_t bytes) noexcept;
    pages::Extent map_large(std::size_t bytes, bool zeroed) noexcept;
    bool add_chunk() noexcept;
    Chunk* map_chunk() noexcept;
    Chunk* add_record(pages::Extent extent) noexcept;
    void unmap(Chunk* chunk) noexcept;
    bool is_spare(const Chunk& chunk) const noexcept { return chunk.position > current_->position; }
    std::size_t unmap_spares(std::uint64_t reach) noexcept;
    void note_mapped(std::size_t bytes) noexcept {
        mapped_ += bytes;
        peak_mapped_ = std::max(peak_mapped_, mapped_);
    }

    Chunk* find(const std::byte* address) const noexcept;
    Level& level_of(const Chunk& chunk, const Header& header) noexcept;
    void end(Chunk& chunk, Header& header) noexcept;
    void pop() noexcept;
    Chunk* chunk_at(const Level& level) const noexcept {
        return level.chunk != nullptr ? level.chunk : small_.first;
    }
    void return_to(const Level& level) noexcept;
    template <class Visit>
    void for_each_block(Visit visit) const;
    void check_chunk(const Chunk& chunk) const;
    void check_chains() const;

    Chunk none_;
    Chunk* current_ = &none_;
    std::size_t largest_small_;
    /// Never empty.
    std::vector<Level> levels_;
    std::size_t in_use_ = 0;
    std::size_t peak_ = 0;
    /// What all extents come from.
    pages::PageSource& source_;
    std::size_t chunk_size_;
    /// All extents, by their starts.
    std::map<const std::byte*, Chunk> chunks_;
    /// The chunks by position, spare ones last. The first one stays until a trim.
    Chain small_;
    /// The large blocks by number.
    Chain large_;
    /// The last number of an extent, position of a chunk, and id or generation of a level.
    std::uint64_t last_number_ = 0;
    std::uint64_t last_position_ = 0;
    std::uint64_t last_id_ = 0;
    std::size_t mapped_ = 0;
    std::size_t peak_mapped_ = 0;
    /// The bytes of all chunks, spare ones too.
    std::size_t chunk_bytes_ = 0;
    std::size_t growths_ = 0;
};

}  // namespace numpool::pools
