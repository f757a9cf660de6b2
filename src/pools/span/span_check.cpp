// What a bank's `check` looks at.
#include <algorithm>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "pools/span/span_bank.hpp"

namespace numpool::pools {

using pages::granule_shift;
using pages::page_map;

namespace {

void require(bool condition, const Span& span, const char* what) {
    if (condition) return;
    throw Corrupted{"span of " + std::to_string(span.granules) + " granules at " +
                    std::to_string(reinterpret_cast<std::uintptr_t>(span.start)) + ": " + what};
}

void require(bool condition, const char* what) {
    if (!condition) throw Corrupted{std::string{"the bank of spans: "} + what};
}

void check_tags(const Span& span, pages::Tag tag) {
    for (const std::byte* at = span.start; at < span.end(); at += pages::granule) {
        require(page_map.tag(at) == tag, span, "a granule has the wrong tag");
    }
    require(page_map.note(span.start) == &span, span, "its first granule notes another record");
    require(page_map.note(span.end() - 1) == &span, span, "its last granule notes another record");
}

}  // namespace

[[gnu::cold]] void SpanBank::check() const {
    std::vector<const Span*> spans;
    std::size_t live = 0;
    std::size_t resting = 0;
    std::size_t warm = 0;
    std::size_t lost = 0;
    records_.for_each_used([&](const Span& span) {
        spans.push_back(&span);
        const std::size_t pages = warm_granules(span.start, span.granules);
        switch (span.state) {
            case Span::State::live:
                live += span.bytes();
                require(pages == span.granules, span, "it is live, but a part of it is cold");
                if (span.is_slab) {
                    require(pages::pool_of(page_map.tag(span.start)) == pool_tag_, span,
                            "it is a slab, and has another pool's tag");
                } else {
                    check_tags(span, pool_tag_ + span_kind);
                }
                break;
            case Span::State::resting:
                resting += span.bytes();
                require(pages == span.granules, span, "it rests, but a part of it is cold");
                check_tags(span, pool_tag_ + span_kind);
                break;
            case Span::State::free:
                warm += span.warm;
                require(pages == span.warm, span, "its count of warm granules is wrong");
                check_tags(span, 0);
                require(cache_.free().holds(span), span, "it is free, but in the wrong lists");
                break;
            default:
                ++lost;
        }
    });
    const RestingSpans& at_rest = cache_.resting();
    require(live == bounds_.live(), "the sum of the live spans is not the count of live bytes");
    require(resting == at_rest.bytes(),
            "the sum of the resting spans is not the count of resting bytes");
    require(warm == cache_.free().warm(), "the sum of the warm granules is not their count");
    require(bounds_.peak() >= live, "the peak is below the live bytes");

    std::size_t listed = 0;
    at_rest.for_each([&](const Span& span) {
        require(span.state == Span::State::resting, span,
                "it is in a list of resting spans, but does not rest");
        listed += span.bytes();
    });
    require(listed == resting, "a resting span is in no list");

    std::sort(spans.begin(), spans.end(),
              [](const Span* a, const Span* b) { return a->start < b->start; });
    std::vector<pages::Extent> regions = regions_.all();
    std::sort(regions.begin(), regions.end(),
              [](const auto& a, const auto& b) { return a.start < b.start; });
    std::size_t next = 0;
    for (const pages::Extent& region : regions) {
        const Span* before = nullptr;
        for (const std::byte* at = region.start; at < region.end(); at = before->end()) {
            require(next < spans.size() && spans[next]->start == at,
                    "there is a gap between spans");
            const Span& span = *spans[next++];
            require(span.first_of_region == (before == nullptr), span,
                    "its first_of_region is wrong");
            require(span.last_of_region == (span.end() == region.end()), span,
                    "its last_of_region is wrong");
            require(before == nullptr || before->state != Span::State::free ||
                        span.state != Span::State::free,
                    span, "it is free, and so is the span before it");
            before = &span;
        }
        require(before->end() == region.end(), *before, "it reaches beyond its region");
    }
    require(next == spans.size(), "a span lies outside of the regions");
}

}  // namespace numpool::pools
