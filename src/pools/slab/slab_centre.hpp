#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/size_classes.hpp"
#include "pages/source/source_handle.hpp"
#include "pools/magazine/class_offset.hpp"
#include "pools/magazine/magazines.hpp"
#include "pools/moving/span_mover.hpp"
#include "pools/slab/slab_cache.hpp"
#include "pools/slab/slab_figures.hpp"
#include "pools/span/span_pool.hpp"

namespace numpool::pools {

struct SlabPoolOptions {
    std::string name = {};
    /// The block sizes; if empty, the default ones of SizeClasses.
    std::vector<std::size_t> classes = {};
    /// The limit, and how pages are cached and moved. A slab is a span, so the limit counts it
    /// whole.
    SpanBankOptions spans = {.moving = move_pages};
};

/// What the threads of a slab pool share: the slabs of every class, and the spans. The caller holds
/// the pool's lock.
///
/// Small blocks are acquired and released in batches, for magazines. Before a request is refused,
/// the centre gives its empty slabs back; the SharedSlabPool, which owns it, empties the magazines.
class SlabCentre {
  public:
    /// What lies at an address.
    struct Place {
        enum class Kind { foreign, small, large } kind = Kind::foreign;
        /// If it is small: the class of its block.
        std::size_t size_class = 0;
    };

    /// Throws BadArgument if the size classes are invalid, Exhausted if no address range can be
    /// reserved.
    explicit SlabCentre(const SlabPoolOptions& options,
                        pages::SourceHandle source = pages::range_pages(),
                        pages::PageSource& record_source = pages::os_pages());
    SlabCentre(const SlabCentre&) = delete;
    SlabCentre& operator=(const SlabCentre&) = delete;

    const SizeClasses& classes() const noexcept { return classes_; }
    const ClassOffsets& offsets() const noexcept { return offsets_; }

    /// The pool's number in the page map: the tag of each of its granules is this plus a kind.
    pages::Tag pool_tag() const noexcept { return registration_.tag; }
    /// All tags of the address range.
    pages::Tags tags() const noexcept { return tags_; }

    /// Any thread may call this without the lock.
    Place place_of(const void* address) const noexcept {
        const pages::Kind kind = pages::kind_for(tags_.tag(address), pool_tag());
        const ClassOffset offset = offset_of_kind(kind);
        if (offset < offsets_.end()) [[likely]]
            return {Place::Kind::small, class_at(offset)};
        if (kind == span_kind) return {Place::Kind::large, 0};
        return {};
    }

    /// Writes up to `most` blocks of a class to `blocks` and returns how many; none if the bank
    /// refuses even after all empty slabs went back.
    std::size_t acquire_batch(std::size_t size_class, FreeBlock* blocks, std::size_t most) noexcept;

    /// Takes back blocks of a class.
    void release_batch(std::size_t size_class, const FreeBlock* blocks, std::size_t count) noexcept;

    /// A block in a span of its own. If `zeroed` was requested, the caller must zero its first
    /// `dirty` bytes after it has released the lock.
    struct LargeBlock {
        std::byte* start = nullptr;
        std::size_t dirty = 0;
    };
    /// A large block; `start` is null, and nothing has changed, if that is refused.
    LargeBlock acquire_large(std::size_t bytes, bool zeroed) noexcept;
    /// False, and nothing has changed, if no live large block starts here.
    bool release_large(std::byte* block) noexcept { return spans_.release(block); }
    /// Like `SpanPool::reallocate`: null, and the old block is as it was, if that is refused.
    std::byte* reallocate_large(std::byte* block, std::size_t bytes) noexcept;
    /// The bytes requested for a large block; 0 if no live one starts here.
    std::size_t large_bytes(const std::byte* block) const noexcept {
        return spans_.requested(block);
    }

    /// Gives back the pages that no block needs, or about `most` bytes of them. Returns how many
    /// bytes; fewer than `most` if no more are left.
    std::size_t trim(std::size_t most = ~std::size_t{0}) noexcept;

    /// Gives back empty slabs and pages that were not needed for the decay time. Slow paths do it
    /// from time to time; in an idle process a thread can call it. Returns the bytes.
    std::size_t decay() noexcept;

    /// See `SpanBank::keep_for_slabs`.
    void keep_for_small(std::size_t bytes) noexcept { bank_.keep_for_slabs(bytes); }

    /// The pool's name in errors.
    std::string title() const;
    /// The text of the Exhausted for a request of `bytes` that has just failed.
    std::string refusal_text(std::size_t bytes) const;
    /// Peaks start again from the current figures.
    void reset_peak() noexcept;
    void note_failure() noexcept { ++failures_; }
    /// Counts a request that found no block in a magazine.
    void note_miss(std::size_t size_class) noexcept { ++misses_[size_class]; }

    /// `magazines` are those of all threads of the pool.
    SlabPoolFigures figures(const std::vector<const Magazines*>& magazines) const;

    /// The number of small blocks out of their slabs and of live large blocks.
    std::size_t blocks_out() const noexcept;

    /// Throws Corrupted if the records and the blocks in `magazines` contradict each other.
    void check(const std::vector<const Magazines*>& magazines) const;

    const pages::PageSource& source() const noexcept { return *source_; }
    const SpanBank& bank() const noexcept { return bank_; }
    const SlabPoolOptions& options() const noexcept { return options_; }

  private:
    /// Holds the pool's number in the page map. It is constructed before the bank, which sets tags,
    /// and destroyed after it.
    class Registration {
      public:
        Registration() : tag{pages::page_map.register_pool()} {}
        Registration(const Registration&) = delete;
        Registration& operator=(const Registration&) = delete;
        ~Registration() { pages::page_map.unregister_pool(tag); }
        const pages::Tag tag;
    };

    std::size_t give_back_empty() noexcept;
    void decay_now_and_then() noexcept;
    void note_peak() noexcept;
    void note_large_request(std::size_t bytes, std::size_t cold_before) noexcept;
    std::size_t large_bytes() const noexcept { return bank_.live() - store_.slab_bytes(); }
    ClassFigures class_figures(std::size_t number,
                               const std::vector<const Magazines*>& magazines) const;

    SizeClasses classes_;
    ClassOffsets offsets_;
    /// A copy next to the table of offsets, because a release reads both.
    const pages::Tags tags_;
    Registration registration_;
    SlabPoolOptions options_;
    const pages::SourceHandle source_;
    SpanBank bank_;
    SpanPool spans_;
    SlabStore store_;
    std::vector<SlabCache> caches_;
    std::vector<std::int64_t> misses_;

    std::size_t small_bytes_out_ = 0;
    std::size_t peak_ = 0;
    std::size_t failures_ = 0;
    std::size_t large_requests_ = 0;
    std::size_t large_asked_ = 0;
    std::size_t large_hits_ = 0;
    std::uint64_t decayed_ = 0;
};

}  // namespace numpool::pools
