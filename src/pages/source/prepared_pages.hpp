#pragma once

#include <optional>
#include <string>

#include "pages/source/page_source.hpp"

namespace numpool::pages {

/// How pages are prepared before a pool gets them.
struct Preparation {
    /// Populated at once, so that there are no page faults later.
    bool populated = false;
    /// Never swapped out, and populated at once, too. Such pages cannot be purged.
    bool locked = false;
    /// From this NUMA node's memory only.
    std::optional<unsigned> node = std::nullopt;
};

/// Another source's pages, prepared. If the system refuses the preparation (RLIMIT_MEMLOCK, a full
/// node), this source refuses the pages.
class PreparedPages final : public PageSource {
  public:
    /// Throws BadArgument if the machine has no such node.
    PreparedPages(PageSource& under, const Preparation& preparation);

    Extent map(std::size_t bytes, std::size_t align) noexcept override;
    /// The advice comes before the pages are populated.
    Extent map_advised(std::size_t bytes, std::size_t align, bool huge) noexcept override;
    void unmap(Extent extent) noexcept override { under_.unmap(extent); }
    /// Purged pages come back at their next touch, like ordinary ones, even if they were populated.
    bool purge(Extent extent) noexcept override { return under_.purge(extent); }
    Extent grow(Extent extent, std::size_t bytes) noexcept override;
    bool advise_huge(Extent extent, bool huge) noexcept override {
        return under_.advise_huge(extent, huge);
    }
    std::string refusal() const override;
    std::size_t granularity() const noexcept override { return under_.granularity(); }

  private:
    bool prepare(Extent extent) const noexcept;
    /// The extent, prepared. If that is refused, unmaps it and returns an empty one.
    Extent prepared(Extent extent) noexcept;

    PageSource& under_;
    Preparation preparation_;
};

/// The number of this machine's NUMA nodes; 1 if the system does not tell.
unsigned memory_nodes() noexcept;

}  // namespace numpool::pages
