#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>

#include "pools/slab/slab_list.hpp"
#include "pools/slab/slab_store.hpp"

namespace numpool::pools {

/// The figures of one class's slabs and their transfer cache.
struct SlabFigures {
    std::size_t slabs = 0;
    std::size_t empty_slabs = 0;
    /// Blocks that are live or in magazines.
    std::size_t blocks_out = 0;
    /// Unused blocks whose pages were touched.
    std::size_t touched_blocks = 0;
    /// Refused releases, of blocks that were not out.
    std::size_t refused = 0;
    /// Bytes of addresses.
    std::size_t mapped = 0;
};

/// The slabs of one class, full, partial and empty. Blocks are acquired and released in batches.
///
/// A transfer cache keeps a few released batches, and the next batches come from it. So if one
/// thread acquires what another one releases, no slab is accessed, and the pool's lock is held only
/// for a copy of half a kilobyte.
///
/// After that, blocks come from partial slabs that are more than half in use, so that the others
/// can become empty. One empty slab, or an eighth of all slabs, is kept for the next burst. The
/// other empty slabs go back to the span bank at once, which keeps their pages for all classes and
/// sizes.
class SlabCache {
  public:
    static constexpr std::size_t most_in_transfer = 256;
    static constexpr std::size_t most_bytes_in_transfer = std::size_t{256} << 10;

    /// Throws std::bad_alloc.
    SlabCache(std::size_t block_size, pages::Kind kind, SlabStore& store)
        : layout_{block_size},
          kind_{kind},
          store_{store},
          capacity_{std::min(most_in_transfer, most_bytes_in_transfer / block_size)},
          transfer_{new FreeBlock[capacity_]} {}

    const SlabLayout& layout() const noexcept { return layout_; }

    /// Writes up to `most` blocks to `blocks` and returns how many: at least one, or none if the
    /// store refuses a slab. It makes a new slab only for the first block. If blocks are at least a
    /// page large, a fresh one comes alone, and only if no touched one is left. So no block with
    /// page faults ahead lies unused in a magazine.
    std::size_t acquire_batch(FreeBlock* blocks, std::size_t most) noexcept;

    /// Takes back blocks whose addresses lie in slabs of this class. If an address is no block, or
    /// its block is not out, it is counted as refused and otherwise ignored.
    void release_batch(const FreeBlock* blocks, std::size_t count) noexcept;

    /// Returns all blocks of the transfer cache to their slabs.
    void flush_transfer() noexcept { flush_transfer(transfer_count_); }
    /// The blocks in the transfer cache.
    std::span<const FreeBlock> in_transfer() const noexcept {
        return {transfer_.get(), transfer_count_};
    }

    /// Gives all empty slabs back to the bank. Returns their bytes. This and the next two functions
    /// flush the transfer cache first.
    std::size_t give_back_empty() noexcept;

    /// Gives back the empty slabs that were not needed since the last call. Returns their bytes.
    std::size_t decay() noexcept;

    /// Purges the pages under unused blocks of partial slabs. Returns the blocks' bytes.
    std::size_t purge_partial() noexcept;

    /// Forgets the spare records. The caller frees all records of the store next.
    void forget_records() noexcept { spare_records_ = nullptr; }

    SlabFigures figures() const noexcept;

    /// Whether a block starts at this address, which lies in a slab of this class, and is out.
    bool is_out(const std::byte* block) const noexcept {
        return static_cast<const Slab*>(pages::page_map.note(block))->is_out(layout_, block);
    }

    /// Throws Corrupted if the lists, the slabs and the page map contradict each other, or if a
    /// block was released that was not out.
    void check() const;

  private:
    /// `dense` slabs are more than half in use. `fresh` ones are in use, and all their unused
    /// blocks are fresh and at least a page large.
    enum ListNumber : std::size_t { full, dense, sparse, empty, fresh, list_count };

    ListNumber list_for(const Slab& slab) const noexcept {
        const std::size_t unused = slab.unused();
        if (unused == 0) return full;
        if (unused == layout_.blocks) return empty;
        if (layout_.has_pages && slab.count_touched(layout_) == 0) return fresh;
        return unused * 2 < layout_.blocks ? dense : sparse;
    }
    void flush_transfer(std::size_t oldest) noexcept;
    std::size_t acquire_from_slabs(FreeBlock* blocks, std::size_t most) noexcept;
    std::size_t acquire_from(Slab& slab, FreeBlock* blocks, std::size_t most, bool first) noexcept;
    Slab* new_slab() noexcept;
    Slab* slab_for_one() noexcept;
    void release_to_slabs(const FreeBlock* blocks, std::size_t count) noexcept;
    Slab* slab_with_blocks() noexcept;
    Slab& slab_to_end() noexcept;
    void release_to(Slab& slab, FreeBlock block) noexcept;
    void move(Slab& slab, ListNumber from, ListNumber to) noexcept;
    void end_slab(Slab& slab) noexcept;
    void check_list(ListNumber number, SlabFigures& counted) const;

    SlabLayout layout_;
    pages::Kind kind_;
    SlabStore& store_;
    std::array<SlabList, list_count> lists_;
    Slab* spare_records_ = nullptr;
    std::size_t capacity_;
    std::unique_ptr<FreeBlock[]> transfer_;
    std::size_t transfer_count_ = 0;
    std::size_t slabs_ = 0;
    /// The smallest number of empty slabs since the last decay.
    std::size_t idle_slabs_ = 0;
    /// Blocks that are not in their slabs: live, in magazines or in the transfer cache.
    std::size_t blocks_out_ = 0;
    std::size_t touched_blocks_ = 0;
    std::size_t refused_ = 0;
};

}  // namespace numpool::pools
