#pragma once

#include <cstdint>
#include <optional>

#include "processes/region/shared_region.hpp"

namespace numpool::processes {

/// Which process has which granule of a region. Granules are claimed one by one, each by one atomic
/// operation, so there is no lock.
///
/// A killed process leaves granules claimed, but never a part of a span: the word of a span's first
/// granule is written last. All functions act for the calling process, `self`.
class GranuleTable {
  public:
    GranuleTable(SharedRegion& region, const Member& self) noexcept
        : region_{region}, self_{self} {}

    /// Claims so many granules in a row, with memory that reads as zero, and returns the first.
    /// None where there is no such row, or no memory.
    std::optional<std::uint32_t> claim(std::uint32_t count) noexcept;

    /// Makes claimed granules one live block, held by `self`.
    void publish_span(std::uint32_t first, std::uint32_t count) noexcept;
    /// Makes a claimed granule a slab whose blocks are all unused. False where the machine has no
    /// memory for its words: the granule is still claimed.
    bool publish_slab(std::uint32_t granule, std::uint32_t small_class) noexcept;

    /// Frees the span at `first`, whose block `self` alone holds.
    void free_span(std::uint32_t first) noexcept;
    /// Frees a slab if each of its blocks is unused, or cached by `self`, or with `of_others`
    /// cached by any process.
    bool free_slab(std::uint32_t granule, bool of_others) noexcept;

    /// Frees a granule that an ended process had claimed and not published.
    void free_claimed(std::uint32_t granule, GranuleWord claimed) noexcept;

    GranuleWord word(std::uint32_t granule) const noexcept {
        return region_.granules()[granule].word.load();
    }
    Shared<BlockWord>& block(BlockId id) const noexcept;
    /// How many granules have memory for their records.
    std::uint32_t covered() const noexcept;
    /// The block around this offset in the data; none where there is none. Looks back for the first
    /// granule of a span.
    std::optional<BlockId> block_at(std::size_t offset) const noexcept;

    /// A span's length. It ends within the region even if another process has written nonsense.
    std::uint32_t span_granules(std::uint32_t first) const noexcept;
    std::size_t block_bytes(BlockId id) const noexcept;
    std::byte* address(BlockId id) const noexcept;

  private:
    GranuleWord claimed_by_self() const noexcept { return {GranuleWord::Kind::claimed, self_}; }
    std::optional<std::uint32_t> find(std::uint32_t from, std::uint32_t end,
                                      std::uint32_t count) noexcept;
    bool claim_each(std::uint32_t first, std::uint32_t count) noexcept;
    void unclaim(std::uint32_t first, std::uint32_t count) noexcept;
    bool cover(std::uint32_t end) noexcept;

    SharedRegion& region_;
    const Member& self_;
    std::uint32_t next_ = 0;
};

}  // namespace numpool::processes
