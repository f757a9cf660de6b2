#pragma once

#include <cstddef>
#include <limits>

#include "pages/range/range_pages.hpp"
#include "pools/span/span_advice.hpp"
#include "pools/span/span_bounds.hpp"
#include "pools/span/span_cache.hpp"
#include "pools/span/span_cutter.hpp"
#include "pools/span/span_records.hpp"
#include "pools/span/span_regions.hpp"

namespace numpool::pools {

struct SpanBankOptions {
    static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t fraction_of_memory = unbounded - 1;

    /// The most bytes that may be live at once, and the most that are live and cached together.
    std::size_t limit = unbounded;
    /// The most bytes that may be cached. By default a quarter of `pages::memory_limit()`.
    std::size_t cached_limit = fraction_of_memory;
    /// Pages idle for so long are given back: by slow paths, and by `decay`.
    std::size_t decay_milliseconds = 1000;
    /// Asks for huge pages in spans of 2 MiB and more.
    bool huge_pages = true;
    /// From so many live bytes on smaller spans, slabs among them, get huge pages too. The last of
    /// these is not full, so this bounds what they waste to a share of what is live.
    std::size_t small_huge_from = std::size_t{128} << 20;
    /// How pages move between spans; null, and they never do.
    MakeSpanMoving moving = nullptr;
};

/// Bytes: what there is, the most there was, and three sums over a bank's life.
struct SpanFigures {
    /// Addresses made usable by the page source.
    std::size_t mapped = 0;
    /// What may have pages: live and cached.
    std::size_t committed = 0;
    /// Free, and may have pages.
    std::size_t cached = 0;
    std::size_t live = 0;
    /// The most that was ever live, and that was ever committed.
    std::size_t peak = 0;
    std::size_t peak_committed = 0;

    /// Handed out without pages, to be brought in by page faults.
    std::size_t fresh = 0;
    std::size_t moved = 0;
    std::size_t purged = 0;
};

/// Why a bank said no.
enum class Refusal { none, too_large, limit, system };

/// Runs of granules, from one of 64 KiB to the largest the machine can hold; one thread at a time.
///
/// A released span keeps its pages, and the next request of the same size gets it back in constant
/// time. Otherwise the free span that fits best is cut. Where none fits, the pages of free spans
/// can be moved to one that does: addresses are cheap, pages are dear. So the bank holds hardly
/// more pages than were ever live at once, and seldom faults one in twice.
class SpanBank {
  public:
    /// `owner` is what `pages::page_map.enrol` gave: the bank marks its spans with it. Nothing is
    /// mapped before the first request. Throws std::bad_alloc.
    SpanBank(const SpanBankOptions& options, pages::Tag owner,
             pages::PageSource& source = pages::range_pages());
    SpanBank(const SpanBank&) = delete;
    SpanBank& operator=(const SpanBank&) = delete;
    /// Gives everything back, spans that are live included.
    ~SpanBank();

    /// A span of `bytes` or more, in whole granules and at least one, that starts at a granule,
    /// from 2 MiB on at a huge page; marked as a span whose note is its record. Null where that is
    /// refused: `refusal()` says why, and nothing has changed but that caches may be empty.
    ///
    /// A zeroed one reads as zero. Known zeroes are not written, and from 32 MiB on it gets
    /// untouched pages.
    Span* acquire(std::size_t bytes, bool zeroed = false) noexcept {
        const std::size_t granules = granules_for(bytes);
        Span* const span = cache_.resting().find(granules);
        if (span == nullptr || zeroed) [[unlikely]]
            return acquire_slow(granules, zeroed);
        if (!bounds_.allows(span->bytes())) [[unlikely]]
            return refuse(Refusal::limit);
        return wake(span, 0);
    }

    /// Whether a span of `bytes` can be had whose pages are all there, and none moved.
    bool has_pages_for(std::size_t bytes) noexcept;

    /// Takes a live span back. Its contents and pages are kept while there is use for them.
    void release(Span* span) noexcept {
        if (span->marked) [[unlikely]]
            mark_as_span({span->start, span->bytes()}, span);
        bounds_.drop_live(span->bytes());
        cache_.rest(span);
    }

    /// Makes a live span at least `bytes` large and keeps its contents: in place, or elsewhere by
    /// moving or copying them. Returns the span with the contents, or null where that is refused:
    /// the old one is then as it was. What is new is not zeroed.
    Span* grow(Span* span, std::size_t bytes) noexcept;

    /// Cuts a live span down to `bytes`, rounded up to granules, in place. What is cut off is free.
    /// Does nothing where no memory for a record can be had.
    void shrink(Span* span, std::size_t bytes) noexcept;

    /// Marks a live span as a slab of this kind, with a note of the caller's, until it is released.
    void mark(Span* span, pages::Kind kind, void* note) noexcept;

    /// The live span that was acquired here and holds this address, or null, for any address.
    /// Spans that are marked as something else are not found.
    Span* find(const void* address) const noexcept {
        if (pages::page_map.tag(address) != owner_ + span_kind) return nullptr;
        auto* const span = static_cast<Span*>(pages::page_map.known_note(address));
        return span->state == Span::State::live ? span : nullptr;
    }

    /// Why the last call that returned null did.
    Refusal refusal() const noexcept { return refusal_; }

    /// Gives back all cached pages now, or about `most` bytes of them. Returns their bytes; less
    /// than `most` where none are left.
    std::size_t trim(std::size_t most = ~std::size_t{0}) noexcept { return cache_.trim(most); }

    /// Gives back the pages that nobody has used for the time of `decay_milliseconds`. Returns
    /// their bytes.
    std::size_t decay() noexcept { return cache_.decay(); }

    std::size_t limit() const noexcept { return bounds_.limit(); }
    SpanFigures figures() const noexcept;
    /// From here on the figure is the most since now.
    void reset_peak_committed() noexcept { peak_committed_ = bounds_.live() + cache_.bytes(); }
    std::size_t live() const noexcept { return bounds_.live(); }
    /// Bytes handed out without pages so far: where this stands still, pages were reused.
    std::size_t fresh() const noexcept { return fresh_; }

    /// Walks everything. Throws Corrupted where the records contradict each other.
    void check() const;

  private:
    /// Makes a span live that `resting().find` gave.
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
    void mark_as_span(pages::Extent part, Span* span) noexcept;

    Span* acquire_slow(std::size_t granules, bool zeroed) noexcept;
    Span* take(std::size_t granules, bool cold) noexcept;
    void zero(Span& span) noexcept;
    bool zero_resting(Span& span) noexcept;
    void make_live(Span* span) noexcept;
    bool grow_onto_pages(Span* span, std::size_t granules) noexcept;
    bool grow_in_place(Span* span, std::size_t granules) noexcept;
    void hold_to_bounds() noexcept;

    SpanRecords records_;
    SpanCache cache_;
    SpanBounds bounds_;
    SpanRegions regions_;
    SpanCutter cutter_;
    SpanAdvice advice_;
    pages::Tag owner_;
    Refusal refusal_ = Refusal::none;
    std::size_t small_huge_from_;
    std::size_t peak_committed_ = 0;
    std::size_t fresh_ = 0;
    /// So many granules with pages were not found in one place among so many cached bytes.
    std::size_t none_for_ = 0;
    std::size_t none_among_ = 0;
};

}  // namespace numpool::pools
