#pragma once

#include <cstddef>

#include "pools/span/span_free.hpp"
#include "pools/span/span_pieces.hpp"

namespace numpool::pools {

/// Moves pages from free spans to where a span needs some, in whole aligned huge pages' sizes where
/// it can: a page table moves as fast as one page.
///
/// Every move leaves seams, places where a mapping of the kernel's may begin. A process may have
/// 65530 mappings, so seams are counted, smoothed where nothing is, and limited.
class SpanMover {
  public:
    static constexpr std::size_t most_seams = 16384;
    /// A kernel that refused so often is not asked again.
    static constexpr std::size_t most_refusals = 64;

    SpanMover(pages::PageSource& source, FreeSpans& free, bool moves, bool advises) noexcept
        : source_{source}, free_{free}, moves_{moves}, advises_{advises} {}

    /// Brings pages of free spans into the cold granules of a span that was just cut, or into
    /// the part of it from `from` on. False where a move lost addresses: the span is unusable.
    bool fill(Span& span, std::byte* from) noexcept;

    /// Moves the contents of one span to the start of another one, larger and cold: what cannot be
    /// moved is copied. False where a move lost addresses: the contents are where they were, and
    /// the other span is unusable.
    bool carry(Span& from, Span& to) noexcept;

    /// Huge pages for the whole units in a span that has some. A smaller span gets ordinary ones,
    /// or, with `small_too`, the huge pages that it shares with others.
    void advise(const Span& span, bool small_too) noexcept;

    /// Smooths the seams in a part of a free span, or of one just cut, where no pages are.
    void smooth(std::byte* start, std::size_t granules) noexcept;

    /// Whether pages still move here.
    bool moves() const noexcept { return moves_; }

    std::size_t moved_bytes() const noexcept { return moved_ << pages::granule_shift; }

  private:
    pages::Moved move(std::byte* from, std::byte* to, std::size_t granules) noexcept;
    bool move_units(std::byte* to, std::size_t units) noexcept;
    bool move_pieces(std::byte* to, std::size_t granules) noexcept;
    bool find_units(std::size_t units, std::size_t least_warm, SpanPiece& source) const noexcept;
    bool move_parts(std::byte* to, std::size_t granules) noexcept;
    bool fill_tail(Span& span, std::byte* from) noexcept;
    template <class FillRun>
    bool fill_cold(Span& span, std::byte* from, FillRun fill_run) noexcept;
    pages::Moved carry_piece(std::byte* from, std::byte* to, std::size_t granules) noexcept;
    void calm(std::byte* unit) noexcept;
    bool may_move() noexcept;

    pages::PageSource& source_;
    FreeSpans& free_;
    bool moves_;
    bool advises_;
    /// Gathered while one span is filled.
    SpanPieces pieces_;
    std::size_t moved_ = 0;
    std::size_t refusals_ = 0;
    std::size_t smooth_from_ = most_seams / 2;
};

}  // namespace numpool::pools
