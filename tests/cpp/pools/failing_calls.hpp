#pragma once

#include "pages/source/fake_pages.hpp"
#include "testing.hpp"

/// Lets each call of the page source fail in turn: once, twice, or from then on.
///
/// `use(pages)` makes a pool on these pages and calls all of its functions. It accepts any refusal,
/// then calls `pages.stop_failing()` and checks that each function works. The first call of `use`
/// has no failure. It must unmap all pages.
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
