#include "pools/slab/slab_cache.hpp"

#include <algorithm>
#include <string>

#include "base/error.hpp"

namespace numpool::pools {

std::size_t SlabCache::acquire_batch(FreeBlock* blocks, std::size_t most) noexcept {
    if (transfer_count_ == 0) return acquire_from_slabs(blocks, most);
    const std::size_t acquired = std::min(most, transfer_count_);
    transfer_count_ -= acquired;
    std::copy_n(transfer_.get() + transfer_count_, acquired, blocks);
    return acquired;
}

void SlabCache::release_batch(const FreeBlock* blocks, std::size_t count) noexcept {
    if (count > capacity_ / 2) return release_to_slabs(blocks, count);
    if (count > capacity_ - transfer_count_) flush_transfer((transfer_count_ + 1) / 2);
    std::copy_n(blocks, count, transfer_.get() + transfer_count_);
    transfer_count_ += count;
}

void SlabCache::flush_transfer(std::size_t oldest) noexcept {
    release_to_slabs(transfer_.get(), oldest);
    std::copy(transfer_.get() + oldest, transfer_.get() + transfer_count_, transfer_.get());
    transfer_count_ -= oldest;
}

std::size_t SlabCache::acquire_from_slabs(FreeBlock* blocks, std::size_t most) noexcept {
    std::size_t acquired = 0;
    while (acquired < most) {
        Slab* slab = slab_with_blocks();
        if (slab == nullptr && acquired == 0) slab = slab_for_one();
        if (slab == nullptr) break;
        const ListNumber from = list_for(*slab);
        const std::size_t more =
            acquire_from(*slab, blocks + acquired, most - acquired, acquired == 0);
        if (more == 0) break;
        acquired += more;
        move(*slab, from, list_for(*slab));
        idle_slabs_ = std::min(idle_slabs_, lists_[empty].size());
    }
    blocks_out_ += acquired;
    for (std::size_t i = 0; i < acquired; ++i) touched_blocks_ -= blocks[i].fresh() ? 0 : 1;
    return acquired;
}

std::size_t SlabCache::acquire_from(Slab& slab, FreeBlock* blocks, std::size_t most,
                                    bool first) noexcept {
    if (!layout_.has_pages) return slab.acquire(layout_, blocks, most);
    const std::size_t touched = slab.acquire_touched(layout_, blocks, most);
    return touched == 0 && first ? slab.acquire(layout_, blocks, 1) : touched;
}

Slab* SlabCache::new_slab() noexcept {
    Slab* const slab = store_.create(layout_, kind_, spare_records_);
    if (slab == nullptr) return nullptr;
    ++slabs_;
    touched_blocks_ += slab->count_touched(layout_);
    lists_[empty].push(*slab);
    return slab;
}

/// A slab for a block if no slab has touched ones: a new slab, if the bank has touched pages for
/// it; otherwise the first slab that has fresh blocks.
Slab* SlabCache::slab_for_one() noexcept {
    Slab* const partial = lists_[fresh].first();
    if (partial != nullptr && !store_.has_touched_for(layout_)) return partial;
    Slab* const slab = new_slab();
    return slab != nullptr ? slab : partial;
}

Slab* SlabCache::slab_with_blocks() noexcept {
    for (const ListNumber number : {dense, sparse, empty}) {
        if (!lists_[number].empty()) return lists_[number].first();
    }
    return nullptr;
}

void SlabCache::release_to_slabs(const FreeBlock* blocks, std::size_t count) noexcept {
    std::size_t i = 0;
    while (i < count) {
        // Blocks that are released together often lie in one slab.
        auto& slab = *static_cast<Slab*>(pages::page_map.note(blocks[i].start()));
        const ListNumber from = list_for(slab);
        do {
            release_to(slab, blocks[i]);
        } while (++i < count && slab.holds(blocks[i].start()));
        move(slab, from, list_for(slab));
    }
    while (lists_[empty].size() > std::max<std::size_t>(1, slabs_ / 8)) end_slab(slab_to_end());
}

/// The empty slab to give back: if possible one without fresh blocks, because the bank's free spans
/// do not record which bytes were touched.
Slab& SlabCache::slab_to_end() noexcept {
    Slab& first = *lists_[empty].first();
    const bool whole = first.count_touched(layout_) == layout_.blocks;
    return whole || first.next == nullptr ? first : *first.next;
}

void SlabCache::release_to(Slab& slab, FreeBlock block) noexcept {
    if (!slab.release(layout_, block)) [[unlikely]] {
        ++refused_;
        return;
    }
    --blocks_out_;
    touched_blocks_ += block.fresh() ? 0 : 1;
}

void SlabCache::move(Slab& slab, ListNumber from, ListNumber to) noexcept {
    if (from == to) return;
    lists_[from].remove(slab);
    lists_[to].push(slab);
}

void SlabCache::end_slab(Slab& slab) noexcept {
    touched_blocks_ -= slab.count_touched(layout_);
    lists_[empty].remove(slab);
    --slabs_;
    store_.destroy(slab, spare_records_);
}

std::size_t SlabCache::give_back_empty() noexcept {
    flush_transfer();
    const std::size_t bytes = lists_[empty].size() * layout_.bytes;
    while (!lists_[empty].empty()) end_slab(*lists_[empty].first());
    return bytes;
}

std::size_t SlabCache::decay() noexcept {
    flush_transfer();
    std::size_t bytes = 0;
    for (; idle_slabs_ > 0 && !lists_[empty].empty(); --idle_slabs_) {
        bytes += layout_.bytes;
        end_slab(*lists_[empty].first());
    }
    idle_slabs_ = lists_[empty].size();
    return bytes;
}

std::size_t SlabCache::purge_partial() noexcept {
    flush_transfer();
    std::size_t purged = 0;
    for (const ListNumber number : {dense, sparse}) {
        for (Slab *slab = lists_[number].first(), *next; slab != nullptr; slab = next) {
            next = slab->next;
            purged += store_.purge(*slab, layout_);
            move(*slab, number, list_for(*slab));
        }
    }
    touched_blocks_ -= purged;
    return purged * layout_.stride.bytes();
}

SlabFigures SlabCache::figures() const noexcept {
    SlabFigures figures;
    figures.slabs = slabs_;
    figures.empty_slabs = lists_[empty].size();
    figures.blocks_out = blocks_out_ - std::min(blocks_out_, transfer_count_);
    figures.touched_blocks = touched_blocks_ + transfer_count_;
    figures.refused = refused_;
    figures.mapped = slabs_ * layout_.bytes;
    return figures;
}

[[gnu::cold]] void SlabCache::check() const {
    SlabFigures counted;
    for (const ListNumber number : {full, dense, sparse, empty, fresh}) check_list(number, counted);
    const std::string name = "the cache of " + std::to_string(layout_.block_size) + "-byte slabs ";
    if (counted.slabs != slabs_ || counted.blocks_out != blocks_out_ ||
        counted.touched_blocks != touched_blocks_) {
        throw Corrupted{name + "counts " + std::to_string(slabs_) + " slabs, " +
                        std::to_string(blocks_out_) + " blocks out and " +
                        std::to_string(touched_blocks_) + " touched, and has " +
                        std::to_string(counted.slabs) + ", " + std::to_string(counted.blocks_out) +
                        " and " + std::to_string(counted.touched_blocks)};
    }
    if (refused_ != 0) {
        throw Corrupted{name + "refused " + std::to_string(refused_) +
                        " releases of blocks that were not in use: someone released twice"};
    }
}

[[gnu::cold]] void SlabCache::check_list(ListNumber number, SlabFigures& counted) const {
    for (const Slab* slab = lists_[number].first(); slab != nullptr; slab = slab->next) {
        slab->check(layout_);
        const std::string name =
            "a slab of " + std::to_string(layout_.block_size) + "-byte blocks ";
        if (list_for(*slab) != number) throw Corrupted{name + "is in the wrong list"};
        const std::byte* const last = slab->span().start + layout_.bytes - 1;
        for (const std::byte* address : {static_cast<const std::byte*>(slab->span().start), last}) {
            if (pages::page_map.note(address) != slab ||
                pages::kind_of(pages::page_map.tag(address)) != kind_) {
                throw Corrupted{name + "has another tag or note in the page map"};
            }
        }
        ++counted.slabs;
        counted.blocks_out += layout_.blocks - slab->unused();
        counted.touched_blocks += slab->count_touched(layout_);
    }
}

}  // namespace numpool::pools
