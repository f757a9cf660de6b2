#pragma once

#include "pools/slab/record_arena.hpp"
#include "pools/slab/slab.hpp"
#include "pools/span/span_bank.hpp"

namespace numpool::pools {

/// Where the slab caches of a pool get slabs, memory and record, and give them back.
class SlabStore {
  public:
    /// `source` is the one that the bank's spans come from.
    SlabStore(SpanBank& bank, pages::PageSource& source, pages::PageSource& record_source) noexcept
        : bank_{bank}, source_{source}, records_{record_source} {}

    /// A slab of this kind: the page map has the kind, and the record as a note, for its memory.
    /// Null, and nothing has changed, where the bank refuses. `spare` is a list of unused records
    /// of this size, linked by `next`.
    Slab* create(const SlabLayout& layout, pages::Kind kind, Slab*& spare) noexcept;

    /// Whether all memory of a new slab would have been touched before.
    bool has_touched_for(const SlabLayout& layout) noexcept {
        return bank_.has_pages_for(layout.bytes);
    }

    /// Ends a slab whose blocks are all unused; its record goes to the spare ones.
    void destroy(Slab& slab, const SlabLayout& layout, Slab*& spare) noexcept;

    /// Gives back the pages under unused blocks of a slab that also has used ones. Returns how many
    /// blocks became fresh.
    std::size_t purge(Slab& slab, const SlabLayout& layout) noexcept;

    /// To be called when no slab is left and all lists of spare records are forgotten.
    void clear_records() noexcept { records_.clear(); }
    std::size_t record_bytes() const noexcept { return records_.mapped(); }
    /// What the slabs take of the bank.
    std::size_t slab_bytes() const noexcept { return slab_bytes_; }

  private:
    SpanBank& bank_;
    pages::PageSource& source_;
    RecordArena records_;
    std::size_t slab_bytes_ = 0;
};

}  // namespace numpool::pools
