#pragma once

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "base/bitmap.hpp"
#include "base/stride.hpp"
#include "pages/source/os_pages.hpp"
#include "pools/fixed/fixed_pool_options.hpp"
#include "pools/fixed/ledger.hpp"

namespace numpool::pools {

/// Equal blocks from chunks of pages, in constant time; one thread at a time.
///
/// A released block's own bytes hold the link to the next one, so a block has no header and a
/// live one no overhead. Blocks never used are not linked at all: they are ranges, so creating a
/// pool and growing it touch no page. The last block released is the next one acquired. Blocks of
/// a huge page's size and more lie in such where the source has them.
class FixedPool {
  public:
    struct Block {
        std::byte* start = nullptr;
        /// It was brought to use before, and no trim has taken its bytes since.
        bool constructed = false;
        /// Its pages came from the source and nobody has written to them.
        bool zero = false;

        explicit operator bool() const noexcept { return start != nullptr; }
    };

    /// Where a block is: its chunk, and its number in it.
    struct Place {
        std::size_t chunk;
        std::size_t index;
    };

    /// Throws BadArgument where the options make no sense, Exhausted where the pages are refused.
    /// If it throws, nothing stays mapped.
    explicit FixedPool(const FixedPoolOptions& options,
                       pages::PageSource& source = pages::os_pages());
    FixedPool(const FixedPool&) = delete;
    FixedPool& operator=(const FixedPool&) = delete;
    ~FixedPool();

    /// An unused block, or an empty one where the bound is reached or the pages are refused.
    Block acquire() {
        const Block block = acquire_without_growing();
        if (block) [[likely]]
            return block;
        return grow() ? acquire_without_growing() : Block{};
    }

    /// Like `acquire`, but empty where the pool would have to grow.
    Block acquire_without_growing() {
        if (free_ != nullptr) [[likely]] {
            std::byte* const block = free_;
            free_ = next_of(block);
            return {block, true, false};
        }
        if (fresh_ != fresh_end_) {
            std::byte* const block = fresh_;
            fresh_ += stride_.bytes();
            return {block, false, true};
        }
        return acquire_rest();
    }

    /// Takes a block back. False, and nothing has changed, where the address is no block's start.
    /// The caller must know that the block is live; `release_recorded` checks it.
    bool release(std::byte* block) noexcept {
        if (index_in_newest(block) >= newest_.blocks && !place_of(block)) [[unlikely]]
            return false;
        push(block);
        return true;
    }

    /// A block's mark in the ledger; null where the address is no block's start. This and the other
    /// functions of the ledger need `options.ledger`.
    Ledger::Mark* mark_of(const std::byte* block) const noexcept {
        std::size_t index = 0;
        const Chunk* const chunk = find(block, index);
        return chunk == nullptr ? nullptr : &chunk->ledger.marks()[index];
    }
    /// Strikes a block of the newest chunk, as a rule as large as all before it, out of the ledger.
    /// False, and nothing has changed, where no live block starts there.
    bool strike_in_newest(std::byte* block, RecordedBlock& struck_out) const noexcept {
        const std::size_t index = index_in_newest(block);
        if (index >= newest_.blocks) [[unlikely]]
            return false;
        struck_out = {block, &newest_.marks[index]};
        return struck_out.mark->strike();
    }

    /// Takes up to `most` constructed blocks, the one released last first, and returns how many.
    /// They are not in the ledger. The last has no mark where a write after a release broke the
    /// free list.
    std::size_t take(RecordedBlock* blocks, std::size_t most) noexcept {
        std::size_t taken = 0;
        while (taken < most && free_ != nullptr) {
            blocks[taken] = {free_, mark_of(free_)};
            if (blocks[taken++].mark == nullptr) [[unlikely]]
                break;
            free_ = next_of(free_);
        }
        return taken;
    }

    /// Takes such blocks back.
    void give(const RecordedBlock* blocks, std::size_t count) noexcept {
        for (std::size_t i = 0; i < count; ++i) push(blocks[i].start);
    }

    bool is_live(const std::byte* block) const noexcept {
        const Ledger::Mark* const mark = mark_of(block);
        return mark != nullptr && mark->is_live();
    }

    /// Strikes a block out of the ledger. False, and nothing has changed, where the address is no
    /// live block's start.
    bool strike(const std::byte* block) noexcept {
        Ledger::Mark* const mark = mark_of(block);
        return mark != nullptr && mark->strike();
    }

    /// `acquire` that enters the block in the ledger.
    Block acquire_recorded() {
        const Block block = acquire();
        Ledger::Mark* const mark = block ? mark_of(block.start) : nullptr;
        if (mark != nullptr) mark->enter();
        return block;
    }

    /// `release` that also refuses a block that is not live: a double free changes nothing.
    bool release_recorded(std::byte* block) noexcept {
        if (!strike(block)) [[unlikely]]
            return false;
        push(block);
        return true;
    }

    /// Takes back a block that was not constructed: its next user will have to construct it.
    bool release_unused(std::byte* block) noexcept {
        if (!strike(block)) [[unlikely]]
            return false;
        set_next(block, unconstructed_);
        unconstructed_ = block;
        return true;
    }

    /// Where the block at this address is; nothing where no block starts there.
    std::optional<Place> place_of(const std::byte* address) const noexcept {
        std::size_t index = 0;
        const Chunk* const chunk = find(address, index);
        if (chunk == nullptr) [[unlikely]]
            return std::nullopt;
        return Place{static_cast<std::size_t>(chunk - chunks_.data()), index};
    }

    /// Whether the address lies in a block of this pool, at its start or inside.
    bool owns(const std::byte* address) const noexcept;

    /// Gives back every page that holds nothing but unused blocks, and unmaps the chunks, except
    /// the first, that hold nothing else. Returns the bytes that blocks had used there. Throws
    /// std::bad_alloc before anything has changed.
    std::size_t trim();

    /// Throws Corrupted where the pool's records contradict each other; `at_hand` are blocks that
    /// were taken and not used. Returns how many blocks are in use.
    std::size_t check(std::span<const RecordedBlock> at_hand = {}) const;

    std::size_t block_size() const noexcept { return block_size_; }
    /// The distance from one block to the next.
    std::size_t stride() const noexcept { return stride_.bytes(); }
    std::size_t align() const noexcept { return align_; }
    std::size_t blocks() const noexcept { return blocks_; }
    std::size_t max_blocks() const noexcept { return max_blocks_; }
    std::size_t chunks() const noexcept { return chunks_.size(); }
    /// How often it took another chunk.
    std::size_t growths() const noexcept { return growths_; }
    std::size_t mapped() const noexcept;
    /// Blocks never acquired since their pages came.
    std::size_t fresh_blocks() const noexcept;

  private:
    struct Chunk {
        pages::Extent pages;
        std::size_t blocks;
        Ledger ledger;
    };

    /// What of the newest chunk is looked at again and again.
    struct Newest {
        std::byte* start = nullptr;
        std::size_t blocks = 0;
        Ledger::Marks marks;
    };

    /// Blocks from `start` up to `end` that were never used.
    struct FreshRange {
        std::byte* start;
        std::byte* end;
    };

    /// One bit a block for each chunk.
    using BlockSet = std::vector<Bitmap>;

    /// The blocks not in use, by what is known of them.
    struct Survey {
        BlockSet constructed;
        BlockSet unconstructed;
        BlockSet fresh;

        bool unused(Place at) const noexcept { return free(at) || fresh[at.chunk].test(at.index); }
        bool free(Place at) const noexcept {
            return constructed[at.chunk].test(at.index) || unconstructed[at.chunk].test(at.index);
        }
    };

    /// Blocks `first` up to `end` of a chunk, all unused, and the pages to purge in them.
    struct Run {
        std::size_t chunk;
        std::size_t first;
        std::size_t end;
        pages::Extent pages;
    };

    /// The chunk with a block that starts at the address, and its number there; null where none is.
    const Chunk* find(const std::byte* address, std::size_t& index) const noexcept {
        // The newest chunk is, as a rule, as large as all before it, so this loop ends early.
        for (const Chunk* chunk = chunks_.data() + chunks_.size(); chunk != chunks_.data();) {
            --chunk;
            index = stride_.exact_quotient(static_cast<std::size_t>(address - chunk->pages.start));
            if (index < chunk->blocks) [[likely]]
                return chunk;
        }
        return nullptr;
    }

    void note_newest() noexcept;
    /// The block's number, or one that is too large.
    std::size_t index_in_newest(const std::byte* block) const noexcept {
        return stride_.exact_quotient(static_cast<std::size_t>(block - newest_.start));
    }

    std::byte* next_of(const std::byte* block) const noexcept {
        std::byte* next;
        std::memcpy(&next, block + link_offset_, sizeof next);
        return next;
    }
    void set_next(std::byte* block, std::byte* next) const noexcept {
        std::memcpy(block + link_offset_, &next, sizeof next);
    }

    void push(std::byte* block) noexcept {
        set_next(block, free_);
        free_ = block;
    }

    Block acquire_rest() noexcept;
    bool grow();
    bool add_chunk(std::size_t blocks);

    std::byte* address_of(Place place) const noexcept {
        return chunks_[place.chunk].pages.start + place.index * stride_.bytes();
    }

    BlockSet empty_set() const;
    void add_list(BlockSet& set, const std::byte* list) const;
    void add_fresh(BlockSet& set) const;
    BlockSet set_of(std::span<const RecordedBlock> at_hand) const;
    Survey survey() const;
    std::vector<Run> plan_trim(const Survey& survey) const;
    bool loses_bytes(const Run& run, std::size_t index) const noexcept;
    bool whole_chunk(const Run& run) const noexcept;
    std::byte* without(std::byte* list, const std::vector<Run>& runs) const noexcept;
    void relist(const Run& run, const Survey& survey, bool purged) noexcept;
    void collect_fresh(const Survey& survey, const std::vector<Run>& purged);

    std::byte* free_ = nullptr;
    std::byte* fresh_ = nullptr;
    std::byte* fresh_end_ = nullptr;
    Stride stride_;
    Newest newest_;
    std::vector<Chunk> chunks_;
    std::size_t link_offset_;

    /// Free blocks whose bytes may be anything and that no constructor has seen.
    std::byte* unconstructed_ = nullptr;
    /// Further ranges, besides the one at hand.
    std::vector<FreshRange> fresh_ranges_;
    pages::PageSource& source_;
    std::size_t block_size_;
    std::size_t align_;
    std::size_t first_blocks_;
    std::size_t blocks_ = 0;
    std::size_t max_blocks_;
    std::size_t growths_ = 0;
    bool ledger_;
    bool huge_pages_;
};

}  // namespace numpool::pools
