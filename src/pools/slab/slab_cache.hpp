#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>

#include "pools/slab/slab_list.hpp"
#include "pools/slab/slab_store.hpp"

namespace numpool::pools {

/// What one class's slabs amount to, returned batches included.
struct SlabFigures {
    std::size_t slabs = 0;
    std::size_t empty_slabs = 0;
    /// Blocks that were taken and not given back.
    std::size_t blocks_out = 0;
    /// Unused blocks whose pages were touched.
    std::size_t touched_blocks = 0;
    /// Releases that were refused: blocks that were not out.
    std::size_t refused = 0;
    /// Bytes of address space.
    std::size_t mapped = 0;
};

/// The slabs of one class: full ones, partial ones and empty ones. Blocks come and go in batches.
///
/// A few batches that came back are kept aside ("in passing") and are the next to be taken. Where
/// one thread acquires what another releases, no slab is looked at, and the pool's lock is held
/// only as long as it takes to copy half a kilobyte.
///
/// Blocks are taken first from partial slabs that are more than half in use, so that the others
/// can become empty. One empty slab, or an eighth of all, is kept for the next burst. The others go
/// back to the bank at once, which keeps their pages for all classes and for spans.
class SlabCache {
  public:
    static constexpr std::size_t most_in_passing = 256;
    static constexpr std::size_t most_bytes_in_passing = std::size_t{256} << 10;

    /// Throws std::bad_alloc.
    SlabCache(std::size_t block_size, pages::Kind kind, SlabStore& store)
        : layout_{block_size},
          kind_{kind},
          store_{store},
          capacity_{std::min(most_in_passing, most_bytes_in_passing / block_size)},
          passing_{new FreeBlock[capacity_]} {}

    const SlabLayout& layout() const noexcept { return layout_; }

    /// Up to `most` blocks, at least one, or none where the store refuses a slab. A new slab is
    /// made for the first block only. A fresh block with pages of its own comes alone, and only
    /// where no touched one is left: so blocks that wait at hand have their pages.
    std::size_t take(FreeBlock* blocks, std::size_t most) noexcept;

    /// Takes back blocks that lie in slabs of this class. An address that is no block, or a block
    /// that is not out, is counted and otherwise ignored.
    void give(const FreeBlock* blocks, std::size_t count) noexcept;

    /// Brings all blocks in passing to their slabs. The next three functions begin with it.
    void settle() noexcept { settle(passing_count_); }
    std::span<const FreeBlock> in_passing() const noexcept {
        return {passing_.get(), passing_count_};
    }

    /// Gives the empty slabs back. Returns their bytes.
    std::size_t give_back_empty() noexcept;

    /// Gives back as many empty slabs as were not needed since the last call. Returns their bytes.
    std::size_t decay() noexcept;

    /// Gives back the pages under unused blocks of partial slabs. Returns the blocks' bytes.
    std::size_t purge_partial() noexcept;

    /// Forgets the spare records: the store clears them all.
    void forget_records() noexcept { spare_records_ = nullptr; }

    SlabFigures figures() const noexcept;

    /// Whether a block starts at this address, which lies in a slab of this class, and is out.
    bool is_out(const std::byte* block) const noexcept {
        return static_cast<const Slab*>(pages::page_map.note(block))->is_out(layout_, block);
    }

    /// Throws Corrupted where the lists, the slabs and the page map contradict each other, or
    /// where a block was released that was not out.
    void check() const;

  private:
    /// `fresh`: slabs in use whose unused blocks are fresh and have pages of their own.
    enum ListNumber : std::size_t { full, dense, sparse, empty, fresh, list_count };

    ListNumber list_for(const Slab& slab) const noexcept {
        const std::size_t unused = slab.unused();
        if (unused == 0) return full;
        if (unused == layout_.blocks) return empty;
        if (layout_.has_pages && slab.count_touched(layout_) == 0) return fresh;
        return unused * 2 < layout_.blocks ? dense : sparse;
    }
    void settle(std::size_t oldest) noexcept;
    std::size_t take_from_slabs(FreeBlock* blocks, std::size_t most) noexcept;
    std::size_t take_from(Slab& slab, FreeBlock* blocks, std::size_t most, bool first) noexcept;
    Slab* new_slab() noexcept;
    Slab* slab_for_one() noexcept;
    void give_to_slabs(const FreeBlock* blocks, std::size_t count) noexcept;
    Slab* slab_with_blocks() noexcept;
    Slab& one_to_end() noexcept;
    void give(Slab& slab, FreeBlock block) noexcept;
    void move(Slab& slab, ListNumber from, ListNumber to) noexcept;
    void end_slab(Slab& slab) noexcept;
    void check_list(ListNumber number, SlabFigures& counted) const;

    SlabLayout layout_;
    pages::Kind kind_;
    SlabStore& store_;
    std::array<SlabList, list_count> lists_;
    Slab* spare_records_ = nullptr;
    std::size_t capacity_;
    std::unique_ptr<FreeBlock[]> passing_;
    std::size_t passing_count_ = 0;
    std::size_t slabs_ = 0;
    /// The fewest empty slabs there were since the last decay.
    std::size_t idle_slabs_ = 0;
    /// Blocks that are not in their slabs.
    std::size_t blocks_out_ = 0;
    std::size_t touched_blocks_ = 0;
    std::size_t refused_ = 0;
};

}  // namespace numpool::pools
