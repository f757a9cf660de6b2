#include "pools/slab/slab.hpp"

#include <algorithm>
#include <bit>
#include <string>

#include "base/error.hpp"
#include "base/size.hpp"

namespace numpool::pools {

Slab::Slab(const SlabLayout& layout, Span& span) noexcept
    : unused_count_{static_cast<std::uint32_t>(layout.blocks)},
      first_{span.start + layout.first_offset(span.start)},
      span_{&span} {
    std::uint64_t* const unused_bits = unused_words();
    std::uint64_t* const touched_bits = unused_bits + layout.words();
    std::fill_n(unused_bits, layout.words(), ~std::uint64_t{0});
    if (layout.blocks % 64 != 0) {
        unused_bits[layout.words() - 1] >>= 64 - layout.blocks % 64;
    }
    const std::size_t offset = layout.first_offset(span.start);
    const std::size_t touched = span.bytes() - span.zero_bytes;
    const std::size_t bytes = touched > offset ? touched - offset : 0;
    const std::size_t count =
        std::min(layout.blocks, (bytes + layout.stride.bytes() - 1) / layout.stride.bytes());
    std::fill_n(touched_bits, layout.words(), 0);
    std::fill_n(touched_bits, count / 64, ~std::uint64_t{0});
    if (count % 64 != 0) touched_bits[count / 64] = (std::uint64_t{1} << count % 64) - 1;
}

/// `choose(unused, touched)` says which of a word's blocks may be acquired.
template <class Choose>
std::size_t Slab::acquire_where(Choose choose, const SlabLayout& layout, FreeBlock* blocks,
                                std::size_t most) noexcept {
    std::uint64_t* const unused_bits = unused_words();
    const std::uint64_t* const touched_bits = unused_bits + layout.words();
    std::size_t acquired = 0;
    for (std::size_t word = first_word_; acquired < most && word < layout.words(); ++word) {
        std::uint64_t bits = choose(unused_bits[word], touched_bits[word]);
        std::byte* const base = block_at(layout, word * 64);
        for (; bits != 0 && acquired < most; bits &= bits - 1) {
            const auto bit = static_cast<std::size_t>(std::countr_zero(bits));
            const bool fresh = (touched_bits[word] >> bit & 1) == 0;
            blocks[acquired++] = {base + bit * layout.stride.bytes(), fresh};
            unused_bits[word] &= ~(std::uint64_t{1} << bit);
        }
        if (unused_bits[first_word_] == 0) first_word_ = static_cast<std::uint32_t>(word);
    }
    unused_count_ -= static_cast<std::uint32_t>(acquired);
    return acquired;
}

std::size_t Slab::acquire(const SlabLayout& layout, FreeBlock* blocks, std::size_t most) noexcept {
    const auto any = [](std::uint64_t unused, std::uint64_t) { return unused; };
    return acquire_where(any, layout, blocks, std::min<std::size_t>(most, unused_count_));
}

std::size_t Slab::acquire_touched(const SlabLayout& layout, FreeBlock* blocks,
                                  std::size_t most) noexcept {
    const auto both = [](std::uint64_t unused, std::uint64_t touched) { return unused & touched; };
    return acquire_where(both, layout, blocks, most);
}

Slab::Run Slab::unused_run(const SlabLayout& layout, std::size_t from) const noexcept {
    while (from < layout.blocks && !is_unused(from)) ++from;
    std::size_t end = from;
    while (end < layout.blocks && is_unused(end)) ++end;
    return {from, end};
}

bool Slab::is_out(const SlabLayout& layout, const std::byte* block) const noexcept {
    const std::size_t index =
        layout.stride.exact_quotient(static_cast<std::size_t>(block - first_));
    return index < layout.blocks && !is_unused(index);
}

pages::Extent Slab::purgeable(const SlabLayout& layout, Run run) const noexcept {
    const std::uint64_t* const touched_bits = unused_words() + layout.words();
    bool touched = false;
    for (std::size_t i = run.first; i < run.end && !touched; ++i) {
        touched = (touched_bits[i / 64] >> (i % 64) & 1) != 0;
    }
    if (!touched) return {};
    const std::size_t page = pages::page_size();
    const auto offset_of = [&](std::size_t index) {
        return static_cast<std::size_t>(block_at(layout, index) - span_->start);
    };
    const std::size_t start = run.first == 0 ? 0 : round_up(offset_of(run.first), page);
    const std::size_t end =
        run.end == layout.blocks ? layout.bytes : round_down(offset_of(run.end), page);
    if (start >= end) return {};
    return {span_->start + start, end - start};
}

std::size_t Slab::note_purged(const SlabLayout& layout, Run run, pages::Extent pages) noexcept {
    std::uint64_t* const touched_bits = unused_words() + layout.words();
    std::size_t purged = 0;
    for (std::size_t i = run.first; i < run.end; ++i) {
        std::byte* const block = block_at(layout, i);
        const std::uint64_t bit = std::uint64_t{1} << i % 64;
        const bool whole = block >= pages.start && block + layout.stride.bytes() <= pages.end();
        if (!whole || (touched_bits[i / 64] & bit) == 0) continue;
        touched_bits[i / 64] &= ~bit;
        ++purged;
    }
    return purged;
}

std::size_t Slab::count_touched(const SlabLayout& layout) const noexcept {
    const std::uint64_t* const unused_bits = unused_words();
    const std::uint64_t* const touched_bits = unused_bits + layout.words();
    std::size_t count = 0;
    for (std::size_t word = 0; word < layout.words(); ++word) {
        count += std::popcount(unused_bits[word] & touched_bits[word]);
    }
    return count;
}

[[gnu::cold]] void Slab::check(const SlabLayout& layout) const {
    const auto broken = [&](const std::string& what) {
        throw Corrupted{"a slab of " + std::to_string(layout.block_size) + "-byte blocks " + what};
    };
    const std::uint64_t* const unused_bits = unused_words();
    std::size_t count = 0;
    for (std::size_t word = 0; word < layout.words(); ++word) {
        count += std::popcount(unused_bits[word]);
        if (word < first_word_ && unused_bits[word] != 0)
            broken("has unused blocks before its first word of them");
    }
    if (count != unused_count_) {
        broken("counts " + std::to_string(unused_count_) + " unused blocks but has " +
               std::to_string(count));
    }
    if (layout.blocks % 64 != 0 && unused_bits[layout.words() - 1] >> layout.blocks % 64 != 0) {
        broken("has unused blocks beyond its end");
    }
    if (first_ < span_->start || block_at(layout, layout.blocks) > span_->end()) {
        broken("has blocks outside its memory");
    }
}

}  // namespace numpool::pools
