#pragma once

#include "pages/source/fake_pages.hpp"
#include "testing.hpp"

/// Makes each call to the page source fail in its turn: once, twice, or from then on.
///
/// `use(pages)` makes a pool on these pages and uses all of its verbs. It accepts any refusal,
/// calls `pages.stop_failing()`, and requires that each verb works then. It is called with no
/// failure first, and must give all of its pages back.
template <class Use>
void fail_each_call(Use use) {
    using numpool::pages::FakePages;
    FakePages counted;
    use(counted);
    CHECK(counted.calls() > 2U);
    for (std::size_t n = 0; n < counted.calls(); ++n) {
        for (const std::size_t times : {std::size_t{1}, std::size_t{2}, FakePages::never}) {
            FakePages pages;
            pages.fail_after(n, times);
            use(pages);
            CHECK_EQUAL(pages.mapped, 0U);
        }
    }
}
