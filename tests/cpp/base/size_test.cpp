#include "base/size.hpp"

#include "base/bitmap.hpp"
#include "base/stride.hpp"
#include "testing.hpp"

using namespace numpool;

TEST("sizes round to powers of two both ways") {
    CHECK_EQUAL(round_up(0, 64), 0U);
    CHECK_EQUAL(round_up(1, 64), 64U);
    CHECK_EQUAL(round_up(64, 64), 64U);
    CHECK_EQUAL(round_up(max_size, 4096), max_size);
    CHECK_EQUAL(round_down(4097, 4096), 4096U);
}

TEST("a product above the address space is refused and does not wrap") {
    CHECK_EQUAL(checked_product(1 << 20, 1 << 20).value(), std::size_t{1} << 40);
    CHECK_EQUAL(checked_product(max_size, 1).value(), max_size);
    CHECK(!checked_product(max_size, 2));
    CHECK(!checked_product(~std::size_t{0}, ~std::size_t{0}));
    CHECK_EQUAL(checked_product(5, 0).value(), 0U);
}

TEST("a stride divides its multiples exactly and maps every other offset out of range") {
    for (std::size_t bytes : {8, 24, 64, 72, 4096, 4104, 1000, 12345}) {
        const Stride stride{bytes};
        for (std::size_t index = 0; index < 1000; ++index) {
            CHECK_EQUAL(stride.exact_quotient(index * bytes), index);
            for (std::size_t off : {std::size_t{1}, std::size_t{4}, bytes - 1}) {
                if (off % bytes != 0)
                    CHECK(stride.exact_quotient(index * bytes + off) > max_size / bytes);
            }
            CHECK(stride.exact_quotient(std::size_t{0} - (index + 1) * bytes) >= max_size / bytes);
        }
    }
}

TEST("setting a bit tells whether it was clear") {
    Bitmap bits{130};
    CHECK(!bits.test(129));
    CHECK(bits.set(129));
    CHECK(!bits.set(129));
    CHECK(bits.test(129));
    CHECK(!bits.test(128));
}
