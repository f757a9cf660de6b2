#include "processes/tables/granule_table.hpp"

#include <algorithm>
#include <array>

#include "base/size.hpp"

namespace numpool::processes {

namespace {

/// The granules whose records fill a page of 64 KiB.
constexpr std::uint32_t cover_step = 4096;

}  // namespace

Shared<BlockWord>& GranuleTable::block(BlockId id) const noexcept {
    const std::uint32_t granule = granule_of(id);
    if (word(granule).kind() == GranuleWord::Kind::slab)
        return region_.slabs()[granule][index_of(id)];
    return region_.granules()[granule].block;
}

std::uint32_t GranuleTable::covered() const noexcept {
    return std::min(region_.header().covered_granules.load(std::memory_order_acquire),
                    region_.count());
}

std::uint32_t GranuleTable::span_granules(std::uint32_t first) const noexcept {
    return std::clamp<std::uint32_t>(word(first).number(), 1, region_.count() - first);
}

std::size_t GranuleTable::block_bytes(BlockId id) const noexcept {
    const GranuleWord granule = word(granule_of(id));
    if (granule.kind() == GranuleWord::Kind::slab)
        return small_size(granule.number() % small_classes);
    return std::size_t{span_granules(granule_of(id))} * granule_bytes;
}

std::byte* GranuleTable::address(BlockId id) const noexcept {
    const GranuleWord granule = word(granule_of(id));
    std::byte* const start = region_.data() + std::size_t{granule_of(id)} * granule_bytes;
    if (granule.kind() != GranuleWord::Kind::slab) return start;
    return start + index_of(id) * small_size(granule.number() % small_classes);
}

std::optional<BlockId> GranuleTable::block_at(std::size_t offset) const noexcept {
    const auto granule = static_cast<std::uint32_t>(offset / granule_bytes);
    if (granule >= covered()) return {};
    for (std::uint32_t first = granule + 1; first-- > 0;) {
        const GranuleWord here = word(first);
        if (here.kind() == GranuleWord::Kind::span) {
            if (granule - first >= span_granules(first)) return {};
            return block_id(first, 0);
        }
        if (here.kind() == GranuleWord::Kind::slab) {
            if (first != granule) return {};
            const std::size_t size = small_size(here.number() % small_classes);
            return block_id(granule, static_cast<std::uint32_t>(offset % granule_bytes / size));
        }
        if (here.kind() == GranuleWord::Kind::free) return {};
    }
    return {};
}

bool GranuleTable::cover(std::uint32_t end) noexcept {
    std::uint32_t covered = this->covered();
    while (covered < end) {
        const std::uint32_t next =
            std::min(region_.count(), covered + std::max(cover_step, end - covered));
        if (!region_.commit_granules(covered, next)) return false;
        // Another process may have covered more meanwhile. The count only grows.
        region_.header().covered_granules.compare_exchange_strong(covered, next);
        covered = this->covered();
    }
    return true;
}

std::optional<std::uint32_t> GranuleTable::find(std::uint32_t from, std::uint32_t end,
                                                std::uint32_t count) noexcept {
    std::uint32_t run = 0;
    for (std::uint32_t i = from; i < end;) {
        const GranuleWord here = word(i);
        if (here.kind() == GranuleWord::Kind::free) {
            ++i;
            if (++run < count) continue;
            if (claim_each(i - count, count)) return i - count;
            run = 0;
        } else {
            run = 0;
            i += here.kind() == GranuleWord::Kind::span ? span_granules(i) : 1;
        }
    }
    return {};
}

bool GranuleTable::claim_each(std::uint32_t first, std::uint32_t count) noexcept {
    for (std::uint32_t i = 0; i < count; ++i) {
        if (region_.granules()[first + i].word.compare_exchange(GranuleWord{}, claimed_by_self()))
            continue;
        unclaim(first, i);
        return false;
    }
    return true;
}

void GranuleTable::unclaim(std::uint32_t first, std::uint32_t count) noexcept {
    for (std::uint32_t i = count; i-- > 0;) region_.granules()[first + i].word.store(GranuleWord{});
}

std::optional<std::uint32_t> GranuleTable::claim(std::uint32_t count) noexcept {
    if (count > region_.count()) return {};
    const std::uint32_t covered = this->covered();
    std::optional<std::uint32_t> first = find(std::min(next_, covered), covered, count);
    if (!first) first = find(0, covered, count);
    // Then among granules that were never used. Another process may get there first.
    for (std::uint32_t end = covered; !first && end < region_.count();) {
        if (!cover(std::min(region_.count(), end + std::max(count, cover_step)))) return {};
        const std::uint32_t now = this->covered();
        first = find(end - std::min(end, count - 1), now, count);
        if (!first) end = now;
    }
    if (!first) return {};
    if (!region_.commit_data(*first, count)) {
        region_.purge_data(*first, count);
        unclaim(*first, count);
        return {};
    }
    next_ = *first + count;
    return first;
}

void GranuleTable::publish_span(std::uint32_t first, std::uint32_t count) noexcept {
    Granule& granule = region_.granules()[first];
    granule.block.store(granule.block.load().as_held_only_by(self_.slot));
    granule.word.store({GranuleWord::Kind::span, self_, count});
}

bool GranuleTable::publish_slab(std::uint32_t granule, std::uint32_t small_class) noexcept {
    if (!region_.commit_slab_words(granule)) return false;
    for (Shared<BlockWord>& word : region_.slabs()[granule]) word.store(word.load().as_unused());
    region_.granules()[granule].word.store({GranuleWord::Kind::slab, self_, small_class});
    return true;
}

void GranuleTable::free_span(std::uint32_t first) noexcept {
    const GranuleWord span = word(first);
    const std::uint32_t count = span_granules(first);
    // First claim the granules that another process had claimed. Otherwise the clean-up after that
    // process could free them a second time.
    for (std::uint32_t i = 1; i < count; ++i) {
        Shared<GranuleWord>& one = region_.granules()[first + i].word;
        for (GranuleWord before = one.load(); before != claimed_by_self(); before = one.load()) {
            one.compare_exchange(before, claimed_by_self());
        }
    }
    if (!region_.granules()[first].word.compare_exchange(span, claimed_by_self())) return;
    region_.purge_data(first, count);
    unclaim(first, count);
    next_ = std::min(next_, first);
}

bool GranuleTable::free_slab(std::uint32_t granule, bool of_others) noexcept {
    const GranuleWord slab = word(granule);
    if (slab.kind() != GranuleWord::Kind::slab) return false;
    SlabWords& words = region_.slabs()[granule];
    const std::size_t blocks = granule_bytes / small_size(slab.number() % small_classes);
    std::array<bool, most_blocks_in_slab> was_unused{};
    std::size_t taken = 0;
    for (; taken < blocks; ++taken) {
        const BlockWord before = words[taken].load();
        was_unused[taken] = before.unused();
        const bool may =
            before.unused() || (before.cached() && (of_others || before.held_only_by(self_.slot)));
        // Holding the blocks keeps other processes from them meanwhile.
        if (!may || !words[taken].compare_exchange(before, before.as_held_only_by(self_.slot)))
            break;
    }
    if (taken < blocks || word(granule) != slab) {
        for (std::size_t i = 0; i < taken; ++i) {
            const BlockWord held = words[i].load();
            words[i].store(was_unused[i] ? held.as_unused() : held.as_cached(self_.slot));
        }
        return false;
    }
    region_.granules()[granule].word.store(claimed_by_self());
    region_.purge_data(granule, 1);
    unclaim(granule, 1);
    return true;
}

void GranuleTable::free_claimed(std::uint32_t granule, GranuleWord claimed) noexcept {
    // Claimed by this process meanwhile: the memory must go before others can claim the granule.
    if (!region_.granules()[granule].word.compare_exchange(claimed, claimed_by_self())) return;
    region_.purge_data(granule, 1);
    unclaim(granule, 1);
}

}  // namespace numpool::processes
