#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <vector>

#include "pages/range/range_pages.hpp"
#include "pools/span/span_free.hpp"
#include "pools/span/span_mover.hpp"
#include "pools/span/span_records.hpp"

namespace numpool::pools {

struct SpanBankOptions {
    static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t fraction_of_memory = unbounded - 1;

    /// The most bytes that may be live at once; live and cached ones together stay below it too.
    std::size_t limit = unbounded;
    /// The most bytes that may be cached. By default a quarter of `pages::memory_limit()`.
    std::size_t cached_limit = fraction_of_memory;
    /// Pages idle for so long are given back; looked at on slow paths, and by `decay`.
    std::size_t decay_milliseconds = 1000;
    /// Huge pages are asked for in spans of 2 MiB and more.
    bool huge_pages = true;
    /// From so many live bytes on smaller spans, slabs among them, lie in huge pages too: the last
    /// of these is not full, so this bounds what they waste to a share of what is live.
    std::size_t small_huge_from = std::size_t{128} << 20;
    /// Pages are moved between spans where the kernel can.
    bool move_pages = true;
};

/// Bytes; what there is, the most there was, and three sums over a bank's life.
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
/// What is released keeps its pages, and the next request of the same size gets it back in
/// constant time. Otherwise the free span that fits best is cut. Where none fits, the pages of
/// free ones are moved to where they do: addresses are cheap, pages are dear. So the bank holds
/// hardly more pages than were ever live at once, and seldom faults one in twice.
class SpanBank {
  public:
    /// `owner` is what `pages::page_map.enrol` gave: the bank marks its spans with it. Nothing is
    /// mapped before the first request.
    SpanBank(const SpanBankOptions& options, pages::Tag owner,
             pages::PageSource& source = pages::range_pages());
    SpanBank(const SpanBank&) = delete;
    SpanBank& operator=(const SpanBank&) = delete;
    /// Gives everything back, spans that are live included.
    ~SpanBank();

    /// A span of `bytes` or more, rounded up to granules (one at least), its start at a granule,
    /// from 2 MiB on at a huge page; marked as a span whose note is its record. Null, and nothing
    /// has changed but that caches may be empty, where it is refused: `refusal()` says why.
    ///
    /// A zeroed one reads as zero; known zeroes are not written, and from 32 MiB on it gets
    /// untouched pages.
    Span* acquire(std::size_t bytes, bool zeroed = false) noexcept {
        const std::size_t granules = granules_for(bytes);
        Span*& resting = resting_[slot_of(granules)];
        Span* const span = resting;
        if (span == nullptr || span->granules != granules || zeroed) [[unlikely]] {
            return acquire_slow(granules, zeroed);
        }
        if (live_ + span->bytes() > limit_) [[unlikely]]
            return refuse(Refusal::limit);
        resting = span->next;
        wake(span);
        return span;
    }

    /// Whether a span of `bytes` can be had whose pages are all there, and none moved.
    bool has_pages_for(std::size_t bytes) noexcept;

    /// Takes a live span back. Its contents and pages are kept for as long as there is use for
    /// them.
    void release(Span* span) noexcept {
        if (span->marked) [[unlikely]]
            mark_as_span(span);
        span->state = Span::State::resting;
        span->stamp = looked_at_;
        Span*& resting = resting_[slot_of(span->granules)];
        span->next = resting;
        resting = span;
        resting_bytes_ += span->bytes();
        live_ -= span->bytes();
        if (cached() > cached_limit_) [[unlikely]]
            shrink_cache();
    }

    /// Makes a live span at least `bytes` large, with its contents: in place, or elsewhere by
    /// moving its pages or copying them to a cached span. Returns the span that it is then, or null
    /// where that is refused: the old one is then as it was. What is new is not zeroed.
    Span* grow(Span* span, std::size_t bytes) noexcept;

    /// Cuts a live span down to `bytes`, rounded up to granules, in place. What is cut off is free.
    /// Does nothing where no memory for a record can be had.
    void shrink(Span* span, std::size_t bytes) noexcept;

    /// Marks a live span as a slab of this kind, with a note of the caller's, until it is released.
    void mark(Span* span, pages::Tag kind, void* note) noexcept;

    /// The live span that was acquired here and holds this address, or null, for any address.
    /// Spans that are marked as something else are not found.
    Span* find(const void* address) const noexcept {
        if (pages::page_map.tag(address) != owner_ + pages::span_kind) return nullptr;
        auto* const span = static_cast<Span*>(pages::page_map.known_note(address));
        return span->state == Span::State::live ? span : nullptr;
    }

    /// Why the last call that returned null did.
    Refusal refusal() const noexcept { return refusal_; }

    /// Gives back all cached pages now. Returns their bytes.
    std::size_t trim() noexcept;

    /// Gives back the pages that nobody has used for the time of `decay_milliseconds`. Returns
    /// their bytes.
    std::size_t decay() noexcept;

    /// Bounds as in SpanBankOptions. A limit below what is live holds for the next request.
    void set_limit(std::size_t bytes) noexcept;
    void set_cached_limit(std::size_t bytes) noexcept;
    std::size_t limit() const noexcept { return limit_; }
    std::size_t cached_limit() const noexcept { return cached_limit_; }

    SpanFigures figures() const noexcept;
    std::size_t live() const noexcept { return live_; }
    /// Bytes handed out without pages so far: where it stands still, pages were reused.
    std::size_t fresh() const noexcept { return fresh_; }

    /// Walks everything. Throws Corrupted where the records contradict each other.
    void check() const;

  private:
    static constexpr std::size_t slots = 64;
    /// So many spans are woken before one looks at the clock.
    static constexpr std::uint32_t woken_unseen = 16;
    static std::size_t slot_of(std::size_t granules) noexcept {
        return (granules ^ granules >> 6) % slots;
    }

    std::size_t cached() const noexcept {
        return resting_bytes_ + (free_.warm() << pages::granule_shift);
    }
    void count_live(std::size_t bytes) noexcept {
        live_ += bytes;
        if (live_ > peak_) peak_ = live_;
    }
    /// Makes the resting span that was just taken off its list live.
    void wake(Span* span, std::size_t zero_bytes = 0) noexcept {
        span->state = Span::State::live;
        span->zero_bytes = zero_bytes;
        resting_bytes_ -= span->bytes();
        count_live(span->bytes());
        // A loop that finds what it needs must not keep what it does not need from decaying.
        if (++woken_ % woken_unseen == 0) [[unlikely]]
            look_for_idle();
    }
    void advise(const Span& span) noexcept { mover_.advise(span, live_ >= small_huge_from_); }
    Span* refuse(Refusal why) noexcept {
        refusal_ = why;
        return nullptr;
    }

    // span_bank.cpp: handing out.
    Span* acquire_slow(std::size_t granules, bool zeroed) noexcept;
    Span* take(std::size_t granules, bool cold) noexcept;
    Span* try_take(std::size_t granules, bool cold) noexcept;
    void make_live(Span* span) noexcept;
    void zero(Span* span) noexcept;
    bool zero_resting(Span* span) noexcept;
    void lose(Span* span) noexcept;
    bool add_region(std::size_t granules) noexcept;
    void mark_as_span(Span* span) noexcept;

    // span_grow.cpp
    void take_behind(Span* span, std::size_t granules) noexcept;
    bool grow_onto_pages(Span* span, std::size_t granules) noexcept;
    bool grow_in_place(Span* span, std::size_t granules) noexcept;

    // span_give_back.cpp: giving pages and addresses back.
    std::uint64_t settle() noexcept;
    void look_for_idle() noexcept;
    std::size_t purge_run(Span* span, std::byte* start, std::byte* end) noexcept;
    std::size_t purge_pieces(Span* span, std::size_t granules) noexcept;
    std::size_t purge(Span* span, std::size_t granules) noexcept;
    void purge_oldest(std::size_t bytes) noexcept;
    std::size_t bound() const noexcept { return std::min(limit_, peak_ + peak_ / 512 + slack_); }
    void hold_to_bounds() noexcept;
    std::size_t most_slack() const noexcept;
    std::size_t decay_until(std::uint64_t now) noexcept;
    void shrink_cache() noexcept;
    void give_regions_back() noexcept;

    std::array<Span*, slots> resting_{};
    std::size_t resting_bytes_ = 0;
    std::size_t live_ = 0;
    std::size_t peak_ = 0;
    std::size_t peak_committed_ = 0;
    std::size_t limit_;
    std::size_t cached_limit_;

    SpanRecords records_;
    FreeSpans free_{records_};
    SpanMover mover_;
    pages::PageSource& source_;
    pages::Tag owner_;
    std::size_t small_huge_from_;
    Refusal refusal_ = Refusal::none;
    std::uint64_t decay_milliseconds_;
    std::uint64_t last_decay_ = 0;
    /// When what rests was looked through last. What has rested since then has this for a stamp.
    std::uint64_t looked_at_ = 0;
    std::uint32_t woken_ = 0;
    std::vector<pages::Extent> regions_;
    std::size_t mapped_ = 0;
    std::size_t fresh_ = 0;
    std::size_t purged_ = 0;
    /// Bytes given back to stay within bounds, and those of all places that were cut out.
    std::size_t gone_for_bounds_ = 0;
    std::size_t cut_ = 0;
    std::size_t slack_ = 0;
    /// So many granules with pages were not found in one place among so many cached bytes.
    std::size_t none_for_ = 0;
    std::size_t none_among_ = 0;
};

}  // namespace numpool::pools
