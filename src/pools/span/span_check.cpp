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

void check_marks(const Span& span, pages::Tag tag) {
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
                require(pages == span.granules, span, "it is live, and cold in part");
                if (span.marked) {
                    require(pages::owner_of(page_map.tag(span.start)) == owner_, span,
                            "it is marked as somebody else's");
                } else {
                    check_marks(span, owner_ + span_kind);
                }
                break;
            case Span::State::resting:
                resting += span.bytes();
                require(pages == span.granules, span, "it rests, and is cold in part");
                check_marks(span, owner_ + span_kind);
                break;
            case Span::State::free:
                warm += span.warm;
                require(pages == span.warm, span, "its count of warm granules is wrong");
                check_marks(span, 0);
                require(cache_.free().holds(span), span, "it is free, and in the wrong lists");
                break;
            default:
                ++lost;
        }
    });
    const RestingSpans& at_rest = cache_.resting();
    require(live == bounds_.live(), "the sum of its live spans is not its count");
    require(resting == at_rest.bytes(), "the sum of its resting spans is not its count");
    require(warm == cache_.free().warm(), "the sum of its warm granules is not its count");
    require(bounds_.peak() >= live, "its peak is below what is live");

    std::size_t listed = 0;
    at_rest.for_each([&](const Span& span) {
        require(span.state == Span::State::resting, span, "it is on a list, but not resting");
        listed += span.bytes();
    });
    require(listed == resting, "not all that rests is on a list");

    std::sort(spans.begin(), spans.end(),
              [](const Span* a, const Span* b) { return a->start < b->start; });
    std::vector<pages::Extent> regions = regions_.all();
    std::sort(regions.begin(), regions.end(),
              [](const auto& a, const auto& b) { return a.start < b.start; });
    std::size_t next = 0;
    for (const pages::Extent& region : regions) {
        const Span* before = nullptr;
        for (const std::byte* at = region.start; at < region.end(); at = before->end()) {
            require(next < spans.size() && spans[next]->start == at, "its spans leave a gap");
            const Span& span = *spans[next++];
            require(span.first_of_region == (before == nullptr), span, "it is no region's first");
            require(span.last_of_region == (span.end() == region.end()), span,
                    "it is no region's last");
            require(before == nullptr || before->state != Span::State::free ||
                        span.state != Span::State::free,
                    span, "it is free, and so is the one before");
            before = &span;
        }
        require(before->end() == region.end(), *before, "it reaches beyond its region");
    }
    require(next == spans.size(), "it has spans outside of its regions");
}

}  // namespace numpool::pools
