#include "base/size_classes.hpp"

#include <array>
#include <bit>
#include <vector>

#include "base/error.hpp"
#include "testing.hpp"

using namespace numpool;

namespace {

/// The class of the smallest blocks that hold `bytes`.
std::size_t class_of(const SizeClasses& classes, std::size_t bytes) {
    std::size_t number = 0;
    while (classes.size(number) < bytes) ++number;
    return number;
}

}  // namespace

TEST("powers of two fit exactly, and no request from 128 bytes up wastes more than a quarter") {
    const SizeClasses classes;
    for (std::size_t bytes = 16; bytes <= SizeClasses::largest; bytes *= 2) {
        CHECK_EQUAL(classes.size(class_of(classes, bytes)), bytes);
    }
    for (std::size_t bytes = 129; bytes <= SizeClasses::largest; ++bytes) {
        const std::size_t size = classes.size(class_of(classes, bytes));
        CHECK(size - bytes < (bytes < 256 ? 64 : bytes / 4));
        if (bytes > 32768) CHECK(size - bytes < bytes / 8);
    }
}

TEST("sizes are multiples of 16, and of a cache line from there on") {
    const SizeClasses classes;
    CHECK_EQUAL(classes.size(classes.count() - 1), SizeClasses::largest);
    for (std::size_t number = 0; number < classes.count(); ++number) {
        const std::size_t size = classes.size(number);
        CHECK_EQUAL(size % SizeClasses::align_of(size), 0U);
        CHECK_EQUAL(SizeClasses::align_of(size), size < 64 ? 16U : 64U);
    }
    CHECK_EQUAL(classes.count(), 43U);
}

TEST("chosen classes are rounded, sorted and followed by the default ones") {
    const std::array<std::size_t, 4> sizes{4000, 20, 32, 100};
    const SizeClasses classes{sizes};
    CHECK_EQUAL(classes.size(0), 32U);
    CHECK_EQUAL(classes.size(1), 128U);
    CHECK_EQUAL(classes.size(2), 4032U);
    CHECK_EQUAL(classes.size(3), 4096U);
    CHECK_EQUAL(classes.size(4), 5120U);
    CHECK_EQUAL(classes.size(class_of(classes, 0)), 32U);
    CHECK_EQUAL(classes.size(class_of(classes, 129)), 4032U);
    CHECK_EQUAL(classes.size(classes.count() - 1), SizeClasses::largest);
}

TEST("invalid size classes are refused with a reason") {
    const std::vector<std::size_t> none;
    CHECK_THROWS(BadArgument, "no size classes: give at least one", SizeClasses{none});
    const std::array<std::size_t, 2> zero{16, 0};
    CHECK_THROWS(BadArgument, "a size class of 0 bytes", SizeClasses{zero});
    const std::array<std::size_t, 1> large{65537};
    CHECK_THROWS(BadArgument, "65537 bytes: classes are from 1 to 65536 bytes", SizeClasses{large});
    std::vector<std::size_t> many;
    for (std::size_t i = 1; i <= SizeClasses::most + 1; ++i) many.push_back(i * 64);
    CHECK_THROWS(BadArgument, "129 size classes: 128 is the most", SizeClasses{many});
}
