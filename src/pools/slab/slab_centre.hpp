#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/size_classes.hpp"
#include "pools/magazine/class_offset.hpp"
#include "pools/magazine/magazines.hpp"
#include "pools/moving/span_mover.hpp"
#include "pools/slab/slab_cache.hpp"
#include "pools/slab/slab_figures.hpp"
#include "pools/span/span_pool.hpp"

namespace numpool::pools {

struct SlabPoolOptions {
    std::string name = {};
    /// Block sizes to serve; none leaves the choice to SizeClasses.
    std::vector<std::size_t> classes = {};
    /// The limit, and how pages are kept. Slabs are spans too: the limit counts them whole.
    SpanBankOptions spans = {.moving = move_pages};
};

/// All that the threads of a slab pool share: the slabs of every class, and the spans. One thread
/// at a time: the caller holds the pool's lock.
///
/// Small blocks come and go in batches, on their way to and from magazines. Before it refuses a
/// request it empties its own caches; the pool above it empties the magazines.
class SlabCentre {
  public:
    /// What an address is to this pool.
    struct Place {
        enum class Kind { foreign, small, large } kind = Kind::foreign;
        /// Of a small one.
        std::size_t size_class = 0;
    };

    /// `owner` is what the page map says owns this pool's addresses. Throws BadArgument where the
    /// classes make no sense, Exhausted where no address range can be had.
    SlabCentre(const SlabPoolOptions& options, void* owner,
               pages::PageSource& source = pages::range_pages(),
               pages::PageSource& record_source = pages::os_pages());
    SlabCentre(const SlabCentre&) = delete;
    SlabCentre& operator=(const SlabCentre&) = delete;

    const SizeClasses& classes() const noexcept { return classes_; }
    const ClassOffsets& offsets() const noexcept { return offsets_; }

    /// The pool's number in the page map: a tag of its addresses is this plus a kind.
    pages::Tag mine() const noexcept { return enrolment_.tag; }
    pages::Tags tags() const noexcept { return tags_; }

    /// What lies at this address; any thread may ask without the lock.
    Place place_of(const void* address) const noexcept {
        const pages::Kind kind = pages::kind_for(tags_.tag(address), mine());
        const ClassOffset offset = offset_of_kind(kind);
        if (offset < offsets_.end()) [[likely]]
            return {Place::Kind::small, class_at(offset)};
        if (kind == span_kind) return {Place::Kind::large, 0};
        return {};
    }

    /// Up to `most` blocks of a class; none where the bank refuses even after caches were emptied.
    std::size_t take(std::size_t size_class, FreeBlock* blocks, std::size_t most) noexcept;

    /// Takes blocks of a class back.
    void give(std::size_t size_class, const FreeBlock* blocks, std::size_t count) noexcept;

    /// Large blocks: above the largest class, or smaller and in a span. Null, and nothing has
    /// changed, where that is refused. Of a zeroed one the caller has still to zero the first
    /// `dirty` bytes, after it has released the lock.
    struct LargeBlock {
        std::byte* start = nullptr;
        std::size_t dirty = 0;
    };
    LargeBlock acquire_large(std::size_t bytes, bool zeroed) noexcept;
    /// False, and nothing has changed, where no live one starts here.
    bool release_large(std::byte* block) noexcept;
    /// The old block is kept where null is returned.
    std::byte* reallocate_large(std::byte* block, std::size_t bytes) noexcept;
    std::size_t large_bytes(const std::byte* block) const noexcept {
        return spans_.requested(block);
    }

    /// Gives back what no block needs, or about `most` bytes of it. Returns its bytes; less than
    /// `most` where nothing is left.
    std::size_t trim(std::size_t most = ~std::size_t{0}) noexcept;

    /// Gives back empty slabs that were not needed for the decay time, and the bank's old pages.
    /// Slow paths call it; a thread may call it in an idle process.
    std::size_t decay() noexcept;

    /// What errors call the pool.
    std::string title() const;
    /// What an Exhausted says about the request for `bytes` that has just failed.
    std::string refusal_text(std::size_t bytes) const;
    /// From here on the peaks are the most since now.
    void reset_peak() noexcept;
    void note_failure() noexcept { ++failures_; }
    /// A request for a small block found none at hand.
    void note_miss(std::size_t size_class) noexcept { ++misses_[size_class]; }

    /// The figures; `magazines` are all that the pool's threads have.
    SlabPoolFigures figures(const std::vector<const Magazines*>& magazines) const;

    /// Small blocks out of their slabs, and live large ones.
    std::size_t blocks_out() const noexcept;

    /// Throws Corrupted where the records contradict each other, or the blocks in `magazines`.
    void check(const std::vector<const Magazines*>& magazines) const;

    const SpanBank& bank() const noexcept { return bank_; }
    const SlabPoolOptions& options() const noexcept { return options_; }

  private:
    /// The pool's number in the page map: taken before any page is marked with it, and given back
    /// after all marks are gone.
    class Enrolment {
      public:
        explicit Enrolment(void* owner) : tag{pages::page_map.enrol(owner)} {}
        Enrolment(const Enrolment&) = delete;
        Enrolment& operator=(const Enrolment&) = delete;
        ~Enrolment() { pages::page_map.withdraw(tag); }
        const pages::Tag tag;
    };

    std::size_t give_back_empty() noexcept;
    void decay_now_and_then() noexcept;
    void note_peak() noexcept;
    void note_large_request(std::size_t bytes, std::size_t fresh_before) noexcept;
    std::size_t large_bytes() const noexcept { return bank_.live() - store_.slab_bytes(); }
    ClassFigures class_figures(std::size_t number,
                               const std::vector<const Magazines*>& magazines) const;

    SizeClasses classes_;
    ClassOffsets offsets_;
    /// A copy beside the table of offsets: a release reads both.
    const pages::Tags tags_;
    Enrolment enrolment_;
    SlabPoolOptions options_;
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
    std::size_t large_requested_ = 0;
    std::size_t large_blocks_ = 0;
    std::uint64_t decayed_ = 0;
};

}  // namespace numpool::pools
