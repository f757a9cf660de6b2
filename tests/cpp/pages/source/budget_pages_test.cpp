#include "pages/source/budget_pages.hpp"

#include "pages/range/range_pages.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pages;

TEST("a budget refuses what goes beyond it, and takes back what is unmapped") {
    FakePages under;
    BudgetPages pages{under, 4 * page_size()};
    const Extent first = pages.map(3 * page_size(), 1);
    CHECK(static_cast<bool>(first));
    CHECK(!pages.map(2 * page_size(), 1));
    CHECK_EQUAL(under.maps, 1U);
    CHECK_EQUAL(pages.given(), 3 * page_size());
    pages.unmap(first);
    const Extent second = pages.map(4 * page_size(), 1);
    CHECK(static_cast<bool>(second));
    pages.unmap(second);
    CHECK_EQUAL(pages.given(), 0U);
}

TEST("a budget counts what the source gives, not what was asked") {
    BudgetPages pages{range_pages(), 2 * granule};
    const Extent first = pages.map(1, 1);
    CHECK_EQUAL(pages.given(), granule);
    CHECK(!pages.map(granule + 1, 1));
    pages.unmap(first);
}

TEST("a budget holds for growing, too") {
    FakePages under;
    BudgetPages pages{under, 4 * page_size()};
    Extent extent = pages.map(page_size(), 1);
    CHECK(!pages.grow(extent, 5 * page_size()));
    CHECK_EQUAL(under.grows, 0U);
    extent = pages.grow(extent, 4 * page_size());
    CHECK_EQUAL(extent.bytes, 4 * page_size());
    CHECK_EQUAL(pages.given(), 4 * page_size());
    pages.unmap(extent);
}

TEST("what the source refuses costs no budget") {
    FakePages under;
    BudgetPages pages{under, 4 * page_size()};
    under.fail_after(0);
    CHECK(!pages.map(page_size(), 1));
    CHECK(!pages.map(~std::size_t{0}, 1));
    under.stop_failing();
    const Extent extent = pages.map(page_size(), 1);
    under.fail_after(0);
    CHECK(!pages.grow(extent, 2 * page_size()));
    CHECK_EQUAL(pages.given(), page_size());
    pages.unmap(extent);
}
