#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "pools/span/span.hpp"

namespace numpool::pools {

/// Free spans by size: a list (a bin) for each number of granules up to 64, then eight bins for
/// each doubling. All spans of a later bin are larger than those of an earlier one.
class SpanBins {
  public:
    static constexpr std::size_t exact = 64;
    /// Up to 2^31 granules: a 47-bit address space.
    static constexpr std::size_t count = exact + 8 * 26;

    static std::size_t bin_of(std::size_t granules) noexcept {
        if (granules <= exact) return granules - 1;
        const auto doubling = static_cast<std::size_t>(std::bit_width(granules)) - 1;
        return exact + (doubling - 6) * 8 + ((granules >> (doubling - 3)) & 7);
    }

    void insert(Span* span) noexcept {
        const std::size_t bin = bin_of(span->granules);
        span->previous = nullptr;
        span->next = bins_[bin];
        if (span->next != nullptr) span->next->previous = span;
        bins_[bin] = span;
        nonempty_[bin / 64] |= std::uint64_t{1} << (bin % 64);
    }

    void remove(Span* span) noexcept {
        const std::size_t bin = bin_of(span->granules);
        if (span->next != nullptr) span->next->previous = span->previous;
        if (span->previous != nullptr) {
            span->previous->next = span->next;
            return;
        }
        bins_[bin] = span->next;
        if (span->next == nullptr) nonempty_[bin / 64] &= ~(std::uint64_t{1} << (bin % 64));
    }

    /// Whether the span would stay in its bin if it had this many granules.
    static bool stays(const Span& span, std::size_t granules) noexcept {
        return bin_of(span.granules) == bin_of(granules);
    }

    /// The first bin from this one on that has a span, or `count`.
    std::size_t next_nonempty(std::size_t bin) const noexcept {
        for (std::size_t word = bin / 64; word < nonempty_.size(); ++word) {
            const std::uint64_t mask = word == bin / 64 ? ~std::uint64_t{0} << (bin % 64) : ~0ULL;
            const std::uint64_t bits = nonempty_[word] & mask;
            if (bits != 0) return word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
        }
        return count;
    }

    /// The first span of a bin, or null; `next` leads to the others.
    Span* first(std::size_t bin) const noexcept { return bins_[bin]; }

  private:
    std::array<Span*, count> bins_{};
    std::array<std::uint64_t, (count + 63) / 64> nonempty_{};
};

}  // namespace numpool::pools
