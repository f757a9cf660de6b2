#pragma once

#include <cstddef>

#include "pools/span/free_spans.hpp"

namespace numpool::pools {

/// Moves pages between a bank's addresses and updates the page map.
///
/// Every move leaves seams: places where a mapping of the kernel may begin. A process may have
/// 65530 mappings. So seams are counted and limited, and removed where there are no pages.
class PageMover {
  public:
    static constexpr std::size_t most_seams = 16384;

    PageMover(pages::PageSource& source, FreeSpans& free) noexcept : source_{source}, free_{free} {}

    /// Moves granules that lie in one mapping to cold granules.
    pages::Moved move(std::byte* from, std::byte* to, std::size_t granules) noexcept;

    /// Notes that the kernel refused to move a unit. It may be two mappings, because the user
    /// changed a part of it. It gets a seam and is not tried again; after too many refusals no page
    /// moves.
    void note_refused(std::byte* unit) noexcept;

    bool moves() const noexcept { return moves_; }
    /// Whether pages still move, and there may be more seams.
    bool has_room() const noexcept;
    /// The same for pages of free spans. If there are many seams, it first removes some.
    bool may_move_free() noexcept;

    std::size_t moved_bytes() const noexcept { return moved_ << pages::granule_shift; }

  private:
    static constexpr std::size_t most_refusals = 64;

    void smooth(std::byte* start, std::size_t granules) noexcept;

    /// The bank's page source.
    pages::PageSource& source_;
    FreeSpans& free_;
    bool moves_ = true;
    std::size_t moved_ = 0;
    std::size_t refusals_ = 0;
    std::size_t smooth_from_ = most_seams / 2;
};

}  // namespace numpool::pools
