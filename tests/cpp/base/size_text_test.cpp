#include "base/size_text.hpp"

#include "base/error.hpp"
#include "testing.hpp"

using namespace numpool;

namespace {
std::size_t parse(std::string_view text) {
    return size_from_text(text, [] { return std::size_t{8} << 30; });
}
}  // namespace

TEST("sizes are read with and without units") {
    CHECK_EQUAL(parse("4096"), 4096U);
    CHECK_EQUAL(parse("64KiB"), 65536U);
    CHECK_EQUAL(parse(" 1.5 gib "), 3UL << 29);
    CHECK_EQUAL(parse("2GB"), 2000000000U);
    CHECK_EQUAL(parse("25%"), 2UL << 30);
    CHECK_EQUAL(parse("0"), 0U);
}

TEST("the error for a text that is no size names it and what is allowed") {
    for (const std::string text : {"", "KiB", "-1", "-0", "12 parsecs", "1e3", "0x10", "nan", "inf",
                                   "1 2", "K", "64KK", "5%%", "--5"}) {
        CHECK_THROWS(BadArgument, "'" + text + "' is not a size", parse(text));
        CHECK_THROWS(BadArgument, "like '64KiB'", parse(text));
    }
    CHECK_THROWS(BadArgument, "'101%' is more than 100 % of the memory", parse("101%"));
    CHECK_THROWS(BadArgument, "'64K' may mean two sizes: write '64KiB' (powers of 1024) or '64kB'",
                 parse("64K"));
    CHECK_THROWS(BadArgument, "write '1.5GiB' (powers of 1024) or '1.5GB'", parse("1.5g"));
    CHECK_THROWS(BadArgument,
                 "'1.5' is no whole number of bytes: write one, or a unit like '1.5KiB'",
                 parse("1.5"));
    CHECK_THROWS(BadArgument, "'0.5 B' is no whole number of bytes: write one, or a unit like",
                 parse("0.5 B"));
    CHECK_EQUAL(parse("2.0"), 2U);
    CHECK_THROWS(BadArgument, "128 TiB", parse("129TiB"));
    CHECK_THROWS(BadArgument, "128 TiB", parse("99999999999999999999999"));
    CHECK_THROWS(BadArgument, "'99999999999999999?' is more", parse("99999999999999999\n"));
}

TEST("sizes are written short") {
    CHECK_EQUAL(size_to_text(0), "0 bytes");
    CHECK_EQUAL(size_to_text(1), "1 byte");
    CHECK_EQUAL(size_to_text(1023), "1023 bytes");
    CHECK_EQUAL(size_to_text(4096), "4 KiB");
    CHECK_EQUAL(size_to_text(3UL << 29), "1.5 GiB");
    CHECK_EQUAL(size_to_text(1023UL << 20), "1023 MiB");
}

TEST("a count of one is singular") {
    CHECK_EQUAL(count_to_text(0, "block"), "0 blocks");
    CHECK_EQUAL(count_to_text(1, "block"), "1 block");
    CHECK_EQUAL(count_to_text(2, "block"), "2 blocks");
}
