#include "processes/tables/unit_table.hpp"

#include <algorithm>
#include <array>

#include "base/size.hpp"

namespace numpool::processes {

namespace {

/// So many granules' words fill a page of memory.
constexpr std::uint32_t cover_step = 4096;

}  // namespace

Shared<BlockWord>& UnitTable::block(BlockId id) const noexcept {
    const std::uint32_t unit = unit_of(id);
    if (word(unit).kind() == UnitWord::Kind::slab) return region_.slabs()[unit][index_of(id)];
    return region_.units()[unit].block;
}

std::uint32_t UnitTable::covered() const noexcept {
    return std::min(region_.header().covered_units.load(std::memory_order_acquire),
                    region_.count());
}

std::uint32_t UnitTable::span_units(std::uint32_t first) const noexcept {
    return std::clamp<std::uint32_t>(word(first).number(), 1, region_.count() - first);
}

std::size_t UnitTable::block_bytes(BlockId id) const noexcept {
    const UnitWord unit = word(unit_of(id));
    if (unit.kind() == UnitWord::Kind::slab) return small_size(unit.number() % small_classes);
    return std::size_t{span_units(unit_of(id))} * unit_bytes;
}

std::byte* UnitTable::address(BlockId id) const noexcept {
    const UnitWord unit = word(unit_of(id));
    std::byte* const start = region_.data() + std::size_t{unit_of(id)} * unit_bytes;
    if (unit.kind() != UnitWord::Kind::slab) return start;
    return start + index_of(id) * small_size(unit.number() % small_classes);
}

std::optional<BlockId> UnitTable::block_at(std::size_t offset) const noexcept {
    const auto unit = static_cast<std::uint32_t>(offset / unit_bytes);
    if (unit >= covered()) return {};
    for (std::uint32_t first = unit + 1; first-- > 0;) {
        const UnitWord here = word(first);
        if (here.kind() == UnitWord::Kind::span) {
            if (unit - first >= span_units(first)) return {};
            return block_id(first, 0);
        }
        if (here.kind() == UnitWord::Kind::slab) {
            if (first != unit) return {};
            const std::size_t size = small_size(here.number() % small_classes);
            return block_id(unit, static_cast<std::uint32_t>(offset % unit_bytes / size));
        }
        if (here.kind() == UnitWord::Kind::free) return {};
    }
    return {};
}

bool UnitTable::cover(std::uint32_t end) noexcept {
    std::uint32_t covered = this->covered();
    while (covered < end) {
        const std::uint32_t next =
            std::min(region_.count(), covered + std::max(cover_step, end - covered));
        if (!region_.reserve_units(covered, next)) return false;
        // Another process may have gone further meanwhile; the count only grows.
        region_.header().covered_units.compare_exchange_strong(covered, next);
        covered = this->covered();
    }
    return true;
}

std::optional<std::uint32_t> UnitTable::find(std::uint32_t from, std::uint32_t end,
                                             std::uint32_t count) noexcept {
    std::uint32_t run = 0;
    for (std::uint32_t i = from; i < end;) {
        const UnitWord here = word(i);
        if (here.kind() == UnitWord::Kind::free) {
            ++i;
            if (++run < count) continue;
            if (claim_each(i - count, count)) return i - count;
            run = 0;
        } else {
            run = 0;
            i += here.kind() == UnitWord::Kind::span ? span_units(i) : 1;
        }
    }
    return {};
}

bool UnitTable::claim_each(std::uint32_t first, std::uint32_t count) noexcept {
    for (std::uint32_t i = 0; i < count; ++i) {
        if (region_.units()[first + i].word.move(UnitWord{}, claimed_by_self())) continue;
        unclaim(first, i);
        return false;
    }
    return true;
}

void UnitTable::unclaim(std::uint32_t first, std::uint32_t count) noexcept {
    for (std::uint32_t i = count; i-- > 0;) region_.units()[first + i].word.store(UnitWord{});
}

std::optional<std::uint32_t> UnitTable::claim(std::uint32_t count) noexcept {
    if (count > region_.count()) return {};
    const std::uint32_t covered = this->covered();
    std::optional<std::uint32_t> first = find(std::min(next_, covered), covered, count);
    if (!first) first = find(0, covered, count);
    // Then into what nobody used yet; another process may use it meanwhile.
    for (std::uint32_t end = covered; !first && end < region_.count();) {
        if (!cover(std::min(region_.count(), end + std::max(count, cover_step)))) return {};
        const std::uint32_t now = this->covered();
        first = find(end - std::min(end, count - 1), now, count);
        if (!first) end = now;
    }
    if (!first) return {};
    if (!region_.reserve_data(*first, count)) {
        region_.give_back_data(*first, count);
        unclaim(*first, count);
        return {};
    }
    next_ = *first + count;
    return first;
}

void UnitTable::publish_span(std::uint32_t first, std::uint32_t count) noexcept {
    Unit& unit = region_.units()[first];
    unit.block.store(unit.block.load().as_held_only_by(self_.slot));
    unit.word.store({UnitWord::Kind::span, self_, count});
}

bool UnitTable::publish_slab(std::uint32_t unit, std::uint32_t small_class) noexcept {
    if (!region_.reserve_slab_words(unit)) return false;
    for (Shared<BlockWord>& word : region_.slabs()[unit]) word.store(word.load().as_unused());
    region_.units()[unit].word.store({UnitWord::Kind::slab, self_, small_class});
    return true;
}

void UnitTable::free_span(std::uint32_t first) noexcept {
    const UnitWord span = word(first);
    const std::uint32_t count = span_units(first);
    // Granules that another process claimed become this one's first: else whoever cleans up after
    // that process could free them twice.
    for (std::uint32_t i = 1; i < count; ++i) {
        Shared<UnitWord>& one = region_.units()[first + i].word;
        for (UnitWord before = one.load(); before != claimed_by_self(); before = one.load()) {
            one.move(before, claimed_by_self());
        }
    }
    if (!region_.units()[first].word.move(span, claimed_by_self())) return;
    region_.give_back_data(first, count);
    unclaim(first, count);
    next_ = std::min(next_, first);
}

bool UnitTable::free_slab(std::uint32_t unit, bool take) noexcept {
    const UnitWord slab = word(unit);
    if (slab.kind() != UnitWord::Kind::slab) return false;
    SlabWords& words = region_.slabs()[unit];
    const std::size_t blocks = unit_bytes / small_size(slab.number() % small_classes);
    std::array<bool, most_blocks_in_slab> was_unused{};
    std::size_t taken = 0;
    for (; taken < blocks; ++taken) {
        const BlockWord before = words[taken].load();
        was_unused[taken] = before.unused();
        const bool may =
            before.unused() || (before.cached() && (take || before.held_only_by(self_.slot)));
        // Held, so that nobody takes one while this goes on.
        if (!may || !words[taken].move(before, before.as_held_only_by(self_.slot))) break;
    }
    if (taken < blocks || word(unit) != slab) {
        for (std::size_t i = 0; i < taken; ++i) {
            const BlockWord held = words[i].load();
            words[i].store(was_unused[i] ? held.as_unused() : held.as_cached(self_.slot));
        }
        return false;
    }
    region_.units()[unit].word.store(claimed_by_self());
    region_.give_back_data(unit, 1);
    unclaim(unit, 1);
    return true;
}

void UnitTable::free_claimed(std::uint32_t unit, UnitWord claimed) noexcept {
    // As this process's own: the memory must be gone before others can claim the granule.
    if (!region_.units()[unit].word.move(claimed, claimed_by_self())) return;
    region_.give_back_data(unit, 1);
    unclaim(unit, 1);
}

}  // namespace numpool::processes
