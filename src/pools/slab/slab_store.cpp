#include "pools/slab/slab_store.hpp"

#include <new>

namespace numpool::pools {

Slab* SlabStore::create(const SlabLayout& layout, pages::Kind kind, Slab*& spare) noexcept {
    void* record = spare;
    if (record == nullptr) record = records_.allocate(Slab::record_bytes(layout));
    if (record == nullptr) return nullptr;
    Slab* const next_spare = spare == nullptr ? nullptr : spare->next;
    Span* const span = bank_.acquire_for_slab(layout.bytes);
    if (span == nullptr) {
        if (spare == nullptr) spare = new (record) Slab{};
        return nullptr;
    }
    spare = next_spare;
    auto* const slab = new (record) Slab{layout, *span};
    bank_.tag_as_slab(span, kind, slab);
    slab_bytes_ += span->bytes();
    return slab;
}

void SlabStore::destroy(Slab& slab, Slab*& spare) noexcept {
    Span& span = slab.span();
    slab_bytes_ -= span.bytes();
    bank_.release(&span);
    slab.next = spare;
    spare = &slab;
}

std::size_t SlabStore::purge(Slab& slab, const SlabLayout& layout) noexcept {
    std::size_t purged = 0;
    for (Slab::Run run = slab.unused_run(layout, 0); run.first < run.end;
         run = slab.unused_run(layout, run.end)) {
        const pages::Extent pages = slab.purgeable(layout, run);
        if (pages && source_.purge(pages)) purged += slab.note_purged(layout, run, pages);
    }
    return purged;
}

}  // namespace numpool::pools
