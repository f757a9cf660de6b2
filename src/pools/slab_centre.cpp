#include "pools/slab_centre.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/size_text.hpp"
#include "pools/magazines.hpp"

namespace numpool::pools {
namespace {

/// So large a block is not written to be zero: the bank has cheaper ways.
constexpr std::size_t zeroed_by_bank = std::size_t{32} << 20;

}  // namespace

SlabCentre::SlabCentre(const SlabPoolOptions& options, void* owner, pages::PageSource& source,
                       pages::PageSource& record_source)
    : classes_{options.classes.empty() ? SizeClasses{} : SizeClasses{options.classes}},
      enrolment_{owner},
      options_{options},
      bank_{options.spans, mine(), source},
      spans_{bank_},
      store_{bank_, source, record_source} {
    caches_.reserve(classes_.count());
    for (std::size_t i = 0; i < classes_.count(); ++i) {
        caches_.emplace_back(classes_.size(i), static_cast<pages::Tag>(i), store_);
    }
}

std::size_t SlabCentre::take(std::size_t size_class, FreeBlock* blocks, std::size_t most) noexcept {
    decay_now_and_then();
    SlabCache& cache = caches_[size_class];
    std::size_t taken = cache.take(blocks, most);
    if (taken == 0 && give_back_empty() != 0) taken = cache.take(blocks, most);
    small_bytes_out_ += taken * cache.layout().block_size;
    note_peak();
    return taken;
}

void SlabCentre::give(std::size_t size_class, const FreeBlock* blocks, std::size_t count) noexcept {
    SlabCache& cache = caches_[size_class];
    const std::size_t before = cache.figures().blocks_out;
    cache.give(blocks, count);
    small_bytes_out_ -= (before - cache.figures().blocks_out) * cache.layout().block_size;
    decay_now_and_then();
}

SlabCentre::LargeBlock SlabCentre::acquire_large(std::size_t bytes, bool zeroed) noexcept {
    const bool by_bank = zeroed && bytes >= zeroed_by_bank;
    std::byte* block = spans_.acquire(bytes, by_bank);
    if (block == nullptr && give_back_empty() != 0) block = spans_.acquire(bytes, by_bank);
    if (block == nullptr) return {};
    ++large_requests_;
    ++large_blocks_;
    large_requested_ += bytes;
    note_peak();
    if (!zeroed || by_bank) return {block, 0};
    const Span& span = *bank_.find(block);
    const std::byte* const zeroes = span.end() - span.zero_bytes;
    const auto dirty = static_cast<std::size_t>(std::max<const std::byte*>(zeroes, block) - block);
    return {block, std::min(bytes, dirty)};
}

bool SlabCentre::release_large(std::byte* block) noexcept {
    const std::size_t bytes = spans_.requested(block);
    if (!spans_.release(block)) return false;
    --large_blocks_;
    large_requested_ -= bytes;
    return true;
}

std::byte* SlabCentre::reallocate_large(std::byte* block, std::size_t bytes) noexcept {
    const std::size_t old_bytes = spans_.requested(block);
    std::byte* moved = spans_.reallocate(block, bytes);
    if (moved == nullptr && give_back_empty() != 0) moved = spans_.reallocate(block, bytes);
    if (moved == nullptr) return nullptr;
    ++large_requests_;
    large_requested_ += bytes - old_bytes;
    note_peak();
    return moved;
}

std::size_t SlabCentre::give_back_empty() noexcept {
    std::size_t bytes = 0;
    for (SlabCache& cache : caches_) bytes += cache.give_back_empty();
    return bytes;
}

std::size_t SlabCentre::trim() noexcept {
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
    return bytes + bank_.trim();
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

void SlabCentre::note_peak() noexcept {
    peak_ = std::max(peak_, small_bytes_out_ + large_bytes());
}

std::string SlabCentre::title() const {
    return options_.name.empty() ? "SlabPool" : "SlabPool '" + options_.name + "'";
}

std::string SlabCentre::refusal_text(std::size_t bytes) const {
    std::size_t used = bank_.figures().live;
    std::string text = title() + ": " + std::to_string(bytes) + " bytes";
    if (bytes >= 1024) text += " (" + size_to_text(bytes) + ")";
    text += " requested";
    const std::size_t limit = bank_.limit();
    if (limit != SpanBankOptions::unbounded) {
        text += ", " + size_to_text(used) + " of a limit of " + size_to_text(limit) + " in use";
    } else {
        text += ", " + size_to_text(used) + " in use";
    }
    switch (bank_.refusal()) {
        case Refusal::too_large:
            return text + "; no address space is that large";
        case Refusal::limit:
            return text + "; release blocks or raise the limit";
        default:
            return text + "; the system refuses more memory: release blocks";
    }
}

std::size_t SlabCentre::blocks_out() const noexcept {
    std::size_t blocks = large_blocks_;
    for (const SlabCache& cache : caches_) blocks += cache.figures().blocks_out;
    return blocks;
}

ClassFigures SlabCentre::class_figures(std::size_t number,
                                       const std::vector<const Magazines*>& magazines) const {
    const SlabFigures slabs = caches_[number].figures();
    const std::size_t size = classes_.size(number);
    const std::size_t below = number == 0 ? 0 : classes_.size(number - 1) + 1;
    std::size_t at_hand = 0;
    std::int64_t requested = 0;
    std::int64_t requests = 0;
    std::int64_t misses = 0;
    for (const Magazines* const set : magazines) {
        const Magazine& magazine = (*set)[number];
        at_hand += magazine.count();
        requested += magazine.requested();
        requests += magazine.requests();
        misses += magazine.misses();
    }
    ClassFigures figures;
    figures.block_size = size;
    figures.blocks = slabs.blocks_out - std::min(slabs.blocks_out, at_hand);
    figures.in_use = figures.blocks * size;
    // Whoever releases may say a wrong size, or none; the class bounds what can have been asked.
    figures.requested = std::clamp(static_cast<std::size_t>(std::max<std::int64_t>(requested, 0)),
                                   figures.blocks * below, figures.in_use);
    figures.cached = (slabs.touched_blocks + at_hand) * size;
    figures.committed = (slabs.touched_blocks + slabs.blocks_out) * size;
    figures.mapped = slabs.mapped;
    figures.requests = static_cast<std::size_t>(requests);
    figures.hits = static_cast<std::size_t>(std::max<std::int64_t>(requests - misses, 0));
    return figures;
}

SlabPoolFigures SlabCentre::figures(const std::vector<const Magazines*>& magazines) const {
    SlabPoolFigures figures;
    const SpanFigures spans = bank_.figures();
    figures.spans.requested = large_requested_;
    figures.spans.in_use = large_bytes();
    figures.spans.cached = spans.cached;
    figures.spans.committed = spans.committed - store_.slab_bytes();
    figures.spans.mapped = spans.mapped - store_.slab_bytes();
    figures.spans.blocks = large_blocks_;
    figures.spans.requests = large_requests_;
    figures.total = figures.spans;
    for (std::size_t i = 0; i < classes_.count(); ++i) {
        const ClassFigures one = class_figures(i, magazines);
        figures.total.requested += one.requested;
        figures.total.in_use += one.in_use;
        figures.total.cached += one.cached;
        figures.total.committed += one.committed;
        figures.total.mapped += one.mapped;
        figures.total.blocks += one.blocks;
        figures.total.requests += one.requests;
        figures.total.hits += one.hits;
        figures.classes.push_back(one);
    }
    figures.peak = std::max(peak_, figures.total.in_use);
    figures.limit = bank_.limit();
    figures.failures = failures_;
    return figures;
}

void SlabCentre::check(const std::vector<const Magazines*>& magazines) const {
    bank_.check();
    for (std::size_t number = 0; number < classes_.count(); ++number) {
        caches_[number].check();
        std::vector<const std::byte*> at_hand;
        for (const Magazines* const set : magazines) {
            for (const FreeBlock block : (*set)[number]) at_hand.push_back(block.start());
        }
        const auto broken = [&](const std::string& what) {
            throw Corrupted{"a block of " + std::to_string(classes_.size(number)) + " bytes " +
                            what};
        };
        for (const std::byte* const block : at_hand) {
            const Place place = place_of(block);
            if (place.kind != Place::Kind::small || place.size_class != number ||
                !caches_[number].is_out(block)) {
                broken("at hand is not out of its slab");
            }
        }
        std::sort(at_hand.begin(), at_hand.end());
        if (std::adjacent_find(at_hand.begin(), at_hand.end()) != at_hand.end()) {
            broken("is at hand twice: someone released it twice");
        }
        if (at_hand.size() > caches_[number].figures().blocks_out) {
            broken("is at hand that no slab gave");
        }
    }
}

}  // namespace numpool::pools
