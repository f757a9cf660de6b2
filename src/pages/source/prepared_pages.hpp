#pragma once

#include <optional>
#include <string>

#include "pages/source/page_source.hpp"

namespace numpool::pages {

/// What is done to pages before they are given.
struct Preparation {
    /// Brought in at once, so that no page fault comes later.
    bool populated = false;
    /// Never swapped out; brought in at once, too. Such pages cannot be purged.
    bool locked = false;
    /// Taken from this NUMA node's memory only.
    std::optional<unsigned> node = std::nullopt;
};

/// Another source's pages, prepared. Where the preparation is refused (RLIMIT_MEMLOCK, a node
/// that is full) the pages are.
class PreparedPages final : public PageSource {
  public:
    /// Throws BadArgument where the machine has no such node.
    PreparedPages(PageSource& under, const Preparation& preparation);

    Extent map(std::size_t bytes, std::size_t align) noexcept override;
    /// The advice comes before the pages do.
    Extent map_advised(std::size_t bytes, std::size_t align, bool huge) noexcept override;
    void unmap(Extent extent) noexcept override { under_.unmap(extent); }
    /// Populated pages that were purged come back at their next touch, as ordinary ones do.
    bool purge(Extent extent) noexcept override { return under_.purge(extent); }
    Extent grow(Extent extent, std::size_t bytes) noexcept override;
    bool advise_huge(Extent extent, bool huge) noexcept override {
        return under_.advise_huge(extent, huge);
    }
    std::string refusal() const override;
    std::size_t unit() const noexcept override { return under_.unit(); }
    std::size_t given() const noexcept override { return under_.given(); }

  private:
    bool prepare(Extent extent) const noexcept;
    /// What was mapped, prepared; nothing, and it is unmapped, where that is refused.
    Extent prepared(Extent extent) noexcept;

    PageSource& under_;
    Preparation preparation_;
};

/// The NUMA nodes of this machine that have memory; 1 where it does not say.
unsigned memory_nodes() noexcept;

}  // namespace numpool::pages
