#pragma once

#include <cstddef>

#include "pools/span/free_spans.hpp"

namespace numpool::pools {

/// Moves pages between a bank's addresses, and keeps what is known of them right.
///
/// Every move leaves seams, places where a mapping of the kernel's may begin. A process may have
/// 65530 mappings, so seams are counted, smoothed where nothing is, and limited.
class PageMover {
  public:
    static constexpr std::size_t most_seams = 16384;

    PageMover(pages::PageSource& source, FreeSpans& free) noexcept : source_{source}, free_{free} {}

    /// Moves granules that lie in one mapping to cold ones.
    pages::Moved move(std::byte* from, std::byte* to, std::size_t granules) noexcept;

    /// Notes that units were refused. They may be two mappings, for reasons of the user's: they are
    /// not tried again, and a kernel that refuses too often is not asked any more.
    void note_refused(std::byte* unit) noexcept;

    bool moves() const noexcept { return moves_; }
    /// Whether pages move and there is room for more seams.
    bool has_room() const noexcept;
    /// The same for pages of free spans: smooths seams before they are too many.
    bool may_move_free() noexcept;

    std::size_t moved_bytes() const noexcept { return moved_ << pages::granule_shift; }

  private:
    static constexpr std::size_t most_refusals = 64;

    void smooth(std::byte* start, std::size_t granules) noexcept;

    pages::PageSource& source_;
    FreeSpans& free_;
    bool moves_ = true;
    std::size_t moved_ = 0;
    std::size_t refusals_ = 0;
    std::size_t smooth_from_ = most_seams / 2;
};

}  // namespace numpool::pools
