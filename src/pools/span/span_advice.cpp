#include "pools/span/span_advice.hpp"

#include "pools/span/seams.hpp"

namespace numpool::pools {

using pages::huge_page;

void SpanAdvice::advise(const Span& span, bool small_too) noexcept {
    const bool small = span.granules < unit_granules;
    if (small && !(small_too && huge_pages_)) {
        for (std::byte* unit = unit_to(span.start); unit < span.end(); unit += huge_page)
            cancel(unit);
        return;
    }
    if (!huge_pages_) return;
    // A region consists of whole units, so a unit that a small span shares lies in the region, too.
    std::byte* const last = small ? unit_from(span.end()) : unit_to(span.end());
    for (std::byte* unit = small ? unit_to(span.start) : unit_from(span.start); unit < last;) {
        std::byte* end = unit;
        while (end < last && !seams::advised(end)) end += huge_page;
        if (end != unit &&
            source_.advise_huge({unit, static_cast<std::size_t>(end - unit)}, true)) {
            // Adjacent mappings with equal advice are one mapping. The byte before a small span's
            // unit is not read, because it may lie in no region of this bank.
            const bool edge = small || (unit == span.start && span.first_of_region);
            if (edge || !seams::advised(unit - huge_page)) seams::set(unit);
            if (end == last && !seams::advised(end)) seams::set(end);
            for (std::byte* each = unit; each < end; each += huge_page) {
                seams::set_advised(each, true);
            }
        }
        unit = end + huge_page;
    }
}

/// Cancels the advice for a unit, so that a small span does not cost a huge page. The advice stays
/// if the unit has all of its pages anyway.
void SpanAdvice::cancel(std::byte* unit) noexcept {
    if (!seams::advised(unit)) return;
    const pages::Extent extent{unit, huge_page};
    const std::size_t warm = warm_granules(unit, unit_granules);
    if (warm == unit_granules) return;
    const bool unused = warm == 0;
    if (!(unused ? source_.renew(extent) : source_.advise_huge(extent, false))) return;
    if (unused) seams::smooth(unit, unit_granules);
    seams::set(unit);
    seams::set(unit + huge_page);
    seams::set_advised(unit, false);
}

}  // namespace numpool::pools
