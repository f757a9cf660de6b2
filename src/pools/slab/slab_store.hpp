#pragma once

#include "pools/slab/record_arena.hpp"
#include "pools/slab/slab.hpp"
#include "pools/span/span_bank.hpp"

namespace numpool::pools {

/// Creates and destroys the slabs of a pool: their memory, from the span bank, and their records.
class SlabStore {
  public:
    /// `source` is the page source of the bank.
    SlabStore(SpanBank& bank, pages::PageSource& source, pages::PageSource& record_source) noexcept
        : bank_{bank}, source_{source}, records_{record_source} {}

    /// A new slab. The page map gets `kind` and the slab's record for its memory. `spare` is a list
    /// of unused records of this size, linked by `next`. Null, and nothing has changed, if memory
    /// is refused.
    Slab* create(const SlabLayout& layout, pages::Kind kind, Slab*& spare) noexcept;

    /// Whether the bank has touched pages for a whole new slab.
    bool has_touched_for(const SlabLayout& layout) noexcept {
        return bank_.has_pages_for(layout.bytes);
    }

    /// Ends a slab whose blocks are all unused. Its record becomes a spare one.
    void destroy(Slab& slab, Slab*& spare) noexcept;

    /// Purges the pages under unused blocks of a slab that also has used ones. Returns how many
    /// blocks became fresh.
    std::size_t purge(Slab& slab, const SlabLayout& layout) noexcept;

    /// Frees all records. No slab may be left, nor a list of spare records.
    void clear_records() noexcept { records_.clear(); }
    std::size_t record_bytes() const noexcept { return records_.mapped(); }
    /// The bytes of all slabs' spans.
    std::size_t slab_bytes() const noexcept { return slab_bytes_; }

  private:
    SpanBank& bank_;
    /// The bank's page source, for purges.
    pages::PageSource& source_;
    RecordArena records_;
    std::size_t slab_bytes_ = 0;
};

}  // namespace numpool::pools
