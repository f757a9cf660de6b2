#include "pools/slab/slab_centre.hpp"

#include <algorithm>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/size_text.hpp"
#include "pages/range/address_range.hpp"
#include "pages/system/memory_limit.hpp"

namespace numpool::pools {
namespace {

/// Reserves the range first: before that there are no tags.
pages::Tags tags_of_range() {
    pages::address_range();
    return pages::page_map.tags();
}

}  // namespace

SlabCentre::SlabCentre(const SlabPoolOptions& options, pages::SourceHandle source,
                       pages::PageSource& record_source)
    : classes_{options.classes.empty() ? SizeClasses{} : SizeClasses{options.classes}},
      offsets_{classes_},
      tags_{tags_of_range()},
      options_{options},
      source_{std::move(source)},
      bank_{options.spans, pool_tag(), *source_},
      spans_{bank_},
      store_{bank_, *source_, record_source} {
    caches_.reserve(classes_.count());
    misses_.resize(classes_.count());
    for (std::size_t i = 0; i < classes_.count(); ++i) {
        caches_.emplace_back(classes_.size(i), slab_kind(offset_of_class(i)), store_);
    }
}

std::size_t SlabCentre::acquire_batch(std::size_t size_class, FreeBlock* blocks,
                                      std::size_t most) noexcept {
    decay_now_and_then();
    SlabCache& cache = caches_[size_class];
    std::size_t acquired = cache.acquire_batch(blocks, most);
    if (acquired == 0 && give_back_empty() != 0) acquired = cache.acquire_batch(blocks, most);
    small_bytes_out_ += acquired * cache.layout().block_size;
    note_peak();
    return acquired;
}

void SlabCentre::release_batch(std::size_t size_class, const FreeBlock* blocks,
                               std::size_t count) noexcept {
    SlabCache& cache = caches_[size_class];
    const std::size_t before = cache.figures().blocks_out;
    cache.release_batch(blocks, count);
    small_bytes_out_ -= (before - cache.figures().blocks_out) * cache.layout().block_size;
    decay_now_and_then();
}

SlabCentre::LargeBlock SlabCentre::acquire_large(std::size_t bytes, bool zeroed) noexcept {
    const bool by_bank = zeroed && bytes >= SpanBank::untouched_zeroes_from;
    const std::size_t cold = bank_.acquired_cold();
    std::byte* block = spans_.acquire(bytes, by_bank);
    if (block == nullptr && give_back_empty() != 0) block = spans_.acquire(bytes, by_bank);
    if (block == nullptr) return {};
    note_large_request(bytes, cold);
    if (!zeroed || by_bank) return {block, 0};
    const Span& span = *bank_.find(block);
    const std::byte* const zeroes = span.end() - span.zero_bytes;
    const auto dirty = static_cast<std::size_t>(std::max<const std::byte*>(zeroes, block) - block);
    return {block, std::min(bytes, dirty)};
}

std::byte* SlabCentre::reallocate_large(std::byte* block, std::size_t bytes) noexcept {
    const std::size_t cold = bank_.acquired_cold();
    std::byte* moved = spans_.reallocate(block, bytes);
    if (moved == nullptr && give_back_empty() != 0) moved = spans_.reallocate(block, bytes);
    if (moved == nullptr) return nullptr;
    note_large_request(bytes, cold);
    return moved;
}

std::size_t SlabCentre::give_back_empty() noexcept {
    std::size_t bytes = 0;
    for (SlabCache& cache : caches_) bytes += cache.give_back_empty();
    return bytes;
}

std::size_t SlabCentre::trim(std::size_t most) noexcept {
    std::size_t bytes = 0;
    bool slabs = false;
    give_back_empty();
    for (SlabCache& cache : caches_) {
        bytes += cache.purge_partial();
        slabs = slabs || cache.figures().slabs != 0;
    }
    if (!slabs) {
        bytes += store_.record_bytes();
        for (SlabCache& cache : caches_) cache.forget_records();
        store_.clear_records();
    }
    return bytes + bank_.trim(most);
}

std::size_t SlabCentre::decay() noexcept {
    for (SlabCache& cache : caches_) cache.decay();
    return bank_.decay();
}

void SlabCentre::decay_now_and_then() noexcept {
    const std::uint64_t now = coarse_milliseconds();
    if (now - decayed_ < options_.spans.decay_milliseconds) return;
    decayed_ = now;
    decay();
}

void SlabCentre::note_large_request(std::size_t bytes, std::size_t cold_before) noexcept {
    ++large_requests_;
    large_asked_ += bytes;
    if (bank_.acquired_cold() == cold_before) ++large_hits_;
    note_peak();
}

void SlabCentre::note_peak() noexcept {
    peak_ = std::max(peak_, small_bytes_out_ + large_bytes());
}

void SlabCentre::reset_peak() noexcept {
    peak_ = small_bytes_out_ + large_bytes();
    bank_.reset_peak_committed();
}

[[gnu::cold]] std::string SlabCentre::title() const {
    return options_.name.empty() ? "SlabPool" : "SlabPool '" + options_.name + "'";
}

[[gnu::cold]] std::string SlabCentre::refusal_text(std::size_t bytes) const {
    const std::size_t used = bank_.live();
    std::string text = title() + ": " + count_to_text(bytes, "byte");
    if (bytes >= 1024) text += " (" + size_to_text(bytes) + ")";
    text += " requested";
    const std::size_t limit = bank_.limit();
    if (limit != SpanBankOptions::unbounded) {
        text += ", " + size_to_text(used) + " of a limit of " + size_to_text(limit) + " in use";
        if (bytes > SizeClasses::largest && bank_.kept_for_slabs() != 0)
            text += ", " + size_to_text(bank_.kept_for_slabs()) + " of it kept for small blocks";
    } else {
        text += ", " + size_to_text(used) + " in use";
    }
    switch (bank_.refusal()) {
        case Refusal::too_large:
            return text + "; no address space is that large";
        case Refusal::limit:
            return text + (bytes > limit ? "; that is more than the limit: raise the limit"
                           : used == 0
                               ? "; rounded up, that is more than the limit: raise the limit"
                               : "; release blocks or raise the limit");
        default:
            break;
    }
    const std::string why = source_->refusal();
    if (!why.empty()) return text + "; " + why;
    const std::size_t most = pages::memory_limit();
    if (bytes > most)
        return text + "; that is more than the " + size_to_text(most) + " this process may use";
    return text + "; the system refuses more memory" + (used == 0 ? "" : ": release blocks");
}

std::size_t SlabCentre::blocks_out() const noexcept {
    std::size_t blocks = spans_.blocks();
    for (const SlabCache& cache : caches_) blocks += cache.figures().blocks_out;
    return blocks;
}

}  // namespace numpool::pools
