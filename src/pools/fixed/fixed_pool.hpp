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
/// The free list's links lie in the released blocks themselves, so a block has no header. Fresh
/// blocks, which were never used, are ranges and not linked. So no page is touched when a pool is
/// created or grows. The block released last is the next one acquired. Blocks of a huge page's size
/// and more lie in huge pages if the source has them.
class FixedPool {
  public:
    struct Block {
        std::byte* start = nullptr;
        /// It was used before, and no trim has purged a part of it since.
        bool constructed = false;
        /// It is fresh, so it reads as zero.
        bool zero = false;

        explicit operator bool() const noexcept { return start != nullptr; }
    };

    /// A block's chunk, and its number in the chunk.
    struct Place {
        std::size_t chunk;
        std::size_t index;
    };

    /// Throws BadArgument if the options are invalid, Exhausted if the pages are refused. Then
    /// nothing stays mapped.
    explicit FixedPool(const FixedPoolOptions& options,
                       pages::PageSource& source = pages::os_pages());
    FixedPool(const FixedPool&) = delete;
    FixedPool& operator=(const FixedPool&) = delete;
    ~FixedPool();

    /// An unused block; an empty one if `max_blocks` is reached or the pages are refused.
    Block acquire() {
        const Block block = acquire_without_growing();
        if (block) [[likely]]
            return block;
        return grow() ? acquire_without_growing() : Block{};
    }

    /// Like `acquire`, but the pool does not grow: then the result is empty.
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

    /// Takes a block back. False, and nothing has changed, if no block starts at the address. The
    /// block must be live; `release_recorded` checks that.
    bool release(std::byte* block) noexcept {
        if (index_in_newest(block) >= newest_.blocks && !place_of(block)) [[unlikely]]
            return false;
        push(block);
        return true;
    }

    /// A block's entry in the ledger; null if no block starts at the address. This and all
    /// functions below that use the ledger need `options.ledger`.
    Ledger::Entry* entry_of(const std::byte* block) const noexcept {
        std::size_t index = 0;
        const Chunk* const chunk = find(block, index);
        return chunk == nullptr ? nullptr : &chunk->ledger.entries()[index];
    }
    /// Records in the ledger that a block of the newest chunk becomes unused. False, and nothing
    /// has changed, if no live block of that chunk starts at the address. The newest chunk usually
    /// has half of all blocks.
    bool record_release_in_newest(std::byte* block, RecordedBlock& released) const noexcept {
        const std::size_t index = index_in_newest(block);
        if (index >= newest_.blocks) [[unlikely]]
            return false;
        released = {block, &newest_.entries[index]};
        return released.entry->record_release();
    }

    /// Writes up to `most` constructed blocks to `blocks`, the one released last first. Returns how
    /// many. They are not recorded as live. The last one has no entry if a write after a release
    /// broke the free list.
    std::size_t acquire_batch(RecordedBlock* blocks, std::size_t most) noexcept {
        std::size_t acquired = 0;
        while (acquired < most && free_ != nullptr) {
            blocks[acquired] = {free_, entry_of(free_)};
            if (blocks[acquired++].entry == nullptr) [[unlikely]]
                break;
            free_ = next_of(free_);
        }
        return acquired;
    }

    /// Takes back blocks from `acquire_batch` that were not recorded as live.
    void release_batch(const RecordedBlock* blocks, std::size_t count) noexcept {
        for (std::size_t i = 0; i < count; ++i) push(blocks[i].start);
    }

    bool is_live(const std::byte* block) const noexcept {
        const Ledger::Entry* const entry = entry_of(block);
        return entry != nullptr && entry->is_live();
    }

    /// Records in the ledger that a block becomes unused. False, and nothing has changed, if no
    /// live block starts at the address.
    bool record_release(const std::byte* block) noexcept {
        Ledger::Entry* const entry = entry_of(block);
        return entry != nullptr && entry->record_release();
    }

    /// Like `acquire`, and records the block as live.
    Block acquire_recorded() {
        const Block block = acquire();
        Ledger::Entry* const entry = block ? entry_of(block.start) : nullptr;
        if (entry != nullptr) entry->record_acquire();
        return block;
    }

    /// Like `release`, but refuses a block that is not live: a double free changes nothing.
    bool release_recorded(std::byte* block) noexcept {
        if (!record_release(block)) [[unlikely]]
            return false;
        push(block);
        return true;
    }

    /// Like `release_recorded`, for a block that was not constructed: `constructed` will be false
    /// again.
    bool release_unused(std::byte* block) noexcept {
        if (!record_release(block)) [[unlikely]]
            return false;
        set_next(block, unconstructed_);
        unconstructed_ = block;
        return true;
    }

    /// The place of the block that starts at the address; nothing if none does.
    std::optional<Place> place_of(const std::byte* address) const noexcept {
        std::size_t index = 0;
        const Chunk* const chunk = find(address, index);
        if (chunk == nullptr) [[unlikely]]
            return std::nullopt;
        return Place{static_cast<std::size_t>(chunk - chunks_.data()), index};
    }

    /// Whether the address lies in a block of this pool, at its start or inside.
    bool owns(const std::byte* address) const noexcept;

    /// Purges every page that has only unused blocks. Unmaps the chunks that have only unused
    /// blocks, except the first one. Returns the bytes of those pages that had been used. If it
    /// throws std::bad_alloc, nothing has changed.
    std::size_t trim();

    /// Throws Corrupted if the pool's records contradict each other. `in_magazines` are the blocks
    /// that were acquired in batches and are unused. Returns how many blocks are in use.
    std::size_t check(std::span<const RecordedBlock> in_magazines = {}) const;

    std::size_t block_size() const noexcept { return block_size_; }
    /// The distance from one block to the next.
    std::size_t stride() const noexcept { return stride_.bytes(); }
    std::size_t align() const noexcept { return align_; }
    std::size_t blocks() const noexcept { return blocks_; }
    std::size_t max_blocks() const noexcept { return max_blocks_; }
    std::size_t chunks() const noexcept { return chunks_.size(); }
    /// How often it has grown by a chunk.
    std::size_t growths() const noexcept { return growths_; }
    std::size_t mapped() const noexcept;
    /// The number of fresh blocks.
    std::size_t fresh_blocks() const noexcept;

  private:
    struct Chunk {
        pages::Extent pages;
        std::size_t blocks;
        Ledger ledger;
    };

    /// The fields of the newest chunk that the fast paths use.
    struct Newest {
        std::byte* start = nullptr;
        std::size_t blocks = 0;
        Ledger::Entries entries;
    };

    /// Fresh blocks from `start` to `end`.
    struct FreshRange {
        std::byte* start;
        std::byte* end;
    };

    /// A bitmap for each chunk, with a bit for each block.
    using BlockSet = std::vector<Bitmap>;

    /// For `check` and `trim`, in fixed_pool_survey.cpp: all unused blocks, and a run of them.
    struct Survey;
    struct Run;

    /// The chunk with a block that starts at the address, and the block's number; null if there is
    /// none.
    const Chunk* find(const std::byte* address, std::size_t& index) const noexcept {
        // The newest chunk usually has half of all blocks, so this loop ends early.
        for (const Chunk* chunk = chunks_.data() + chunks_.size(); chunk != chunks_.data();) {
            --chunk;
            index = stride_.exact_quotient(static_cast<std::size_t>(address - chunk->pages.start));
            if (index < chunk->blocks) [[likely]]
                return chunk;
        }
        return nullptr;
    }

    void note_newest() noexcept;
    /// The block's number in the newest chunk; not below `newest_.blocks` if it is not there.
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
    BlockSet set_of(std::span<const RecordedBlock> in_magazines) const;
    Survey survey() const;
    std::vector<Run> plan_trim(const Survey& survey) const;
    bool loses_bytes(const Run& run, std::size_t index) const noexcept;
    bool whole_chunk(const Run& run) const noexcept;
    std::byte* without(std::byte* list, const std::vector<Run>& runs) const noexcept;
    void relist(const Run& run, const Survey& survey, bool purged) noexcept;
    void collect_fresh(const Survey& survey, const std::vector<Run>& purged);

    /// The free list of constructed blocks.
    std::byte* free_ = nullptr;
    /// The range of fresh blocks in use.
    std::byte* fresh_ = nullptr;
    std::byte* fresh_end_ = nullptr;
    Stride stride_;
    Newest newest_;
    std::vector<Chunk> chunks_;
    std::size_t link_offset_;

    /// The free list of blocks that are neither constructed nor fresh.
    std::byte* unconstructed_ = nullptr;
    /// The other ranges of fresh blocks.
    std::vector<FreshRange> fresh_ranges_;
    /// What the chunks come from.
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
