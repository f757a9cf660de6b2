#include <algorithm>
#include <string>

#include "base/error.hpp"
#include "pools/magazine/magazines.hpp"
#include "pools/slab/slab_centre.hpp"

namespace numpool::pools {

ClassFigures SlabCentre::class_figures(std::size_t number,
                                       const std::vector<const Magazines*>& magazines) const {
    const SlabFigures slabs = caches_[number].figures();
    const std::size_t size = classes_.size(number);
    const std::size_t below = number == 0 ? 0 : classes_.size(number - 1) + 1;
    std::size_t at_hand = 0;
    std::int64_t asked = 0;
    std::int64_t requested = 0;
    std::int64_t requests = 0;
    for (const Magazines* const set : magazines) {
        const Magazine& magazine = (*set)[number];
        at_hand += magazine.count();
        asked += magazine.asked();
        requested += magazine.requested();
        requests += magazine.requests();
    }
    ClassFigures figures;
    figures.block_size = size;
    figures.blocks = slabs.blocks_out - std::min(slabs.blocks_out, at_hand);
    figures.in_use = figures.blocks * size;
    // A release may tell a wrong size, or none. The class bounds what can have been requested.
    figures.requested = std::clamp(static_cast<std::size_t>(std::max<std::int64_t>(requested, 0)),
                                   figures.blocks * below, figures.in_use);
    figures.cached = (slabs.touched_blocks + at_hand) * size;
    figures.committed = (slabs.touched_blocks + slabs.blocks_out) * size;
    figures.mapped = slabs.mapped;
    figures.requests = static_cast<std::size_t>(requests);
    figures.asked = static_cast<std::size_t>(asked);
    figures.hits = static_cast<std::size_t>(std::max<std::int64_t>(requests - misses_[number], 0));
    return figures;
}

SlabPoolFigures SlabCentre::figures(const std::vector<const Magazines*>& magazines) const {
    SlabPoolFigures figures;
    const SpanFigures spans = bank_.figures();
    figures.spans.requested = spans_.requested();
    figures.spans.in_use = large_bytes();
    figures.spans.cached = spans.cached;
    figures.spans.committed = spans.committed - store_.slab_bytes();
    figures.spans.mapped = spans.mapped - store_.slab_bytes();
    figures.spans.blocks = spans_.blocks();
    figures.spans.requests = large_requests_;
    figures.spans.asked = large_asked_;
    figures.spans.hits = large_hits_;
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
        figures.total.asked += one.asked;
        figures.total.hits += one.hits;
        figures.classes.push_back(one);
    }
    figures.peak = std::max(peak_, figures.total.in_use);
    figures.peak_committed = spans.peak_committed;
    figures.limit = bank_.limit();
    figures.failures = failures_;
    return figures;
}

[[gnu::cold]] void SlabCentre::check(const std::vector<const Magazines*>& magazines) const {
    bank_.check();
    for (std::size_t number = 0; number < classes_.count(); ++number) {
        caches_[number].check();
        std::vector<const std::byte*> at_hand;
        for (const Magazines* const set : magazines) {
            for (const FreeBlock block : (*set)[number]) at_hand.push_back(block.start());
        }
        for (const FreeBlock block : caches_[number].in_transfer())
            at_hand.push_back(block.start());
        const auto broken = [&](const std::string& what) {
            throw Corrupted{"a block of " + std::to_string(classes_.size(number)) + " bytes " +
                            what};
        };
        for (const std::byte* const block : at_hand) {
            const Place place = place_of(block);
            if (place.kind != Place::Kind::small || place.size_class != number ||
                !caches_[number].is_out(block)) {
                broken("is in a magazine but not out of its slab");
            }
        }
        std::sort(at_hand.begin(), at_hand.end());
        if (std::adjacent_find(at_hand.begin(), at_hand.end()) != at_hand.end()) {
            broken("is in magazines twice: someone released it twice");
        }
    }
}

}  // namespace numpool::pools
