#pragma once

#include <cstddef>
#include <limits>

#include "pages/range/range_pages.hpp"
#include "pools/span/span_advice.hpp"
#include "pools/span/span_bounds.hpp"
#include "pools/span/span_cache.hpp"
#include "pools/span/span_carver.hpp"
#include "pools/span/span_records.hpp"
#include "pools/span/span_regions.hpp"

namespace numpool::pools {

struct SpanBankOptions {
    static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t fraction_of_memory = unbounded - 1;

    /// The most bytes that may be live at once, and also live and cached together.
    std::size_t limit = unbounded;
    /// The most bytes that may be cached; by default a quarter of `pages::memory_limit()`.
    std::size_t cached_limit = fraction_of_memory;
    /// Pages that were idle for this long go back: slow paths and `decay` do it.
    std::size_t decay_milliseconds = 1000;
    /// Ask for huge pages in spans of 2 MiB and more.
    bool huge_pages = true;
    /// From this many live bytes on, smaller spans get huge pages, too; slabs are such spans. The
    /// last of these huge pages is not full, so the waste is a small share of the live bytes.
    std::size_t small_huge_from = std::size_t{128} << 20;
    /// Makes what moves pages between spans: `move_pages` (pools/moving). Null: pages never move.
    MakeSpanMoving moving = nullptr;
};

/// In bytes: the current figures, the peaks, and three sums over a bank's life.
struct SpanFigures {
    /// The addresses of all regions.
    std::size_t mapped = 0;
    /// Live and cached: all that may have pages.
    std::size_t committed = 0;
    /// Resting or free, and may have pages.
    std::size_t cached = 0;
    std::size_t live = 0;
    /// The most that was ever live, and the most that was ever committed.
    std::size_t peak = 0;
    std::size_t peak_committed = 0;

    /// Acquired without pages: page faults bring them.
    std::size_t acquired_cold = 0;
    std::size_t moved = 0;
    std::size_t purged = 0;
};

/// Why a bank refused a request.
enum class Refusal { none, too_large, limit, system };

/// Spans: runs of granules of any length; one thread at a time.
///
/// A released span rests with its pages, and the next request of the same size gets it back in
/// constant time. If none rests, a place is carved out of the free span that fits best, or out of a
/// new region. The place may lack pages; then pages of other free spans move there. Addresses cost
/// nothing, pages do. So the bank holds little more than the peak of the live bytes, and rarely
/// faults a page in twice.
class SpanBank {
  public:
    /// From this many bytes on, a zeroed span is not written: it gets untouched pages, so that
    /// zeroes that are never touched cost neither time nor memory.
    static constexpr std::size_t untouched_zeroes_from = std::size_t{32} << 20;

    /// `pool` is a number from `pages::page_map.register_pool`, for the tags of the spans. Nothing
    /// is mapped before the first request. Throws std::bad_alloc.
    SpanBank(const SpanBankOptions& options, pages::Tag pool,
             pages::PageSource& source = pages::range_pages());
    SpanBank(const SpanBank&) = delete;
    SpanBank& operator=(const SpanBank&) = delete;
    /// Unmaps everything, live spans too.
    ~SpanBank();

    /// A live span of at least `bytes`: whole granules, from 2 MiB on aligned to a unit. Its tag in
    /// the page map is `span_kind`, its note is its record. Null if that is refused: `refusal()`
    /// tells why, and nothing has changed, except that caches may be empty.
    ///
    /// If `zeroed`, it reads as zero. Granules that are known to be zero are not written; see also
    /// `untouched_zeroes_from`.
    Span* acquire(std::size_t bytes, bool zeroed = false) noexcept {
        const std::size_t granules = granules_for(bytes);
        Span* const span = cache_.resting().find(granules);
        if (span == nullptr || zeroed) [[unlikely]]
            return acquire_slow(granules, zeroed);
        if (!bounds_.allows(span->bytes())) [[unlikely]]
            return refuse(Refusal::limit);
        return wake(span, 0);
    }

    /// Like `acquire`, and may also use what `keep_for_slabs` keeps.
    Span* acquire_for_slab(std::size_t bytes) noexcept;
    /// From now on this much of the limit, at most half of it, is for slabs only. So a program with
    /// large arrays can still make small ones at the limit.
    void keep_for_slabs(std::size_t bytes) noexcept { bounds_.keep(bytes); }
    std::size_t kept_for_slabs() const noexcept { return bounds_.kept(); }

    /// Whether the bank has a span of `bytes` with all of its pages, without a move.
    bool has_pages_for(std::size_t bytes) noexcept;

    /// Takes a live span back: it rests, with its pages and contents.
    void release(Span* span) noexcept {
        if (span->is_slab) [[unlikely]]
            tag_as_span({span->start, span->bytes()}, span);
        bounds_.drop_live(span->bytes());
        cache_.rest(span);
    }

    /// Makes a live span at least `bytes` large and keeps its contents: in place, or elsewhere by
    /// moving or copying. Returns the span with the contents. Null, and the old span is as it was,
    /// if that is refused. The new part is not zeroed.
    Span* grow(Span* span, std::size_t bytes) noexcept;

    /// Shrinks a live span in place to `bytes`, rounded up to granules. The rest becomes free. Does
    /// nothing if there is no memory for a record.
    void shrink(Span* span, std::size_t bytes) noexcept;

    /// Gives a live span the tag and the note of a slab, until it is released.
    void tag_as_slab(Span* span, pages::Kind kind, void* note) noexcept;

    /// The live span of this bank that holds this address, or null; for any address. Slabs are not
    /// found.
    Span* find(const void* address) const noexcept {
        if (pages::page_map.tag(address) != pool_tag_ + span_kind) return nullptr;
        auto* const span = static_cast<Span*>(pages::page_map.known_note(address));
        return span->state == Span::State::live ? span : nullptr;
    }

    /// Why the last call that returned null refused.
    Refusal refusal() const noexcept { return refusal_; }

    /// Purges all cached pages, or about `most` bytes of them. Returns how many bytes; fewer than
    /// `most` if no more are left.
    std::size_t trim(std::size_t most = ~std::size_t{0}) noexcept { return cache_.trim(most); }

    /// Purges the cached pages that were idle for the decay time. Returns how many bytes.
    std::size_t decay() noexcept { return cache_.decay(); }

    std::size_t limit() const noexcept { return bounds_.limit(); }
    SpanFigures figures() const noexcept;
    /// The peak starts again from the current bytes.
    void reset_peak_committed() noexcept { peak_committed_ = bounds_.live() + cache_.bytes(); }
    std::size_t live() const noexcept { return bounds_.live(); }
    /// The bytes acquired without pages so far. While this does not grow, all pages are reused.
    std::size_t acquired_cold() const noexcept { return acquired_cold_; }

    /// Walks all records. Throws Corrupted if they contradict each other.
    void check() const;

  private:
    /// Makes a span live that `resting().find` returned.
    Span* wake(Span* span, std::size_t zero_bytes) noexcept {
        span->state = Span::State::live;
        span->zero_bytes = zero_bytes;
        bounds_.add_live(span->bytes());
        cache_.wake(span);
        return span;
    }
    Span* refuse(Refusal why) noexcept {
        refusal_ = why;
        return nullptr;
    }
    void advise(const Span& span) noexcept {
        advice_.advise(span, bounds_.live() >= small_huge_from_);
    }
    void tag_as_span(pages::Extent part, Span* span) noexcept;

    Span* acquire_slow(std::size_t granules, bool zeroed) noexcept;
    Span* carve(std::size_t granules, bool cold) noexcept;
    void zero(Span& span) noexcept;
    bool zero_resting(Span& span) noexcept;
    void make_live(Span* span) noexcept;
    bool grow_onto_pages(Span* span, std::size_t granules) noexcept;
    bool grow_in_place(Span* span, std::size_t granules) noexcept;
    void keep_within_bounds() noexcept;

    SpanRecords records_;
    SpanCache cache_;
    SpanBounds bounds_;
    SpanRegions regions_;
    SpanCarver carver_;
    SpanAdvice advice_;
    pages::Tag pool_tag_;
    Refusal refusal_ = Refusal::none;
    std::size_t small_huge_from_;
    std::size_t peak_committed_ = 0;
    std::size_t acquired_cold_ = 0;
    /// The last search of `has_pages_for` that failed: the granules, and the bytes cached then.
    std::size_t none_for_ = 0;
    std::size_t none_among_ = 0;
};

}  // namespace numpool::pools
