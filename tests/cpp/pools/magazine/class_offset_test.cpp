#include "pools/magazine/class_offset.hpp"

#include <array>
#include <memory>

#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;

TEST("each size gets the offset of the smallest class that holds it") {
    const std::array<std::size_t, 4> sizes{4000, 20, 32, 100};
    for (const SizeClasses& classes : {SizeClasses{}, SizeClasses{sizes}}) {
        const auto offsets = std::make_unique<ClassOffsets>(classes);
        for (std::size_t bytes = 0; bytes <= SizeClasses::largest; ++bytes) {
            const std::size_t number = class_at(offsets->of(bytes));
            CHECK(classes.size(number) >= bytes);
            if (number > 0) CHECK(classes.size(number - 1) < bytes);
        }
        CHECK_EQUAL(class_at(offsets->end()), classes.count());
    }
}

TEST("an offset gives its class's magazine, kind and key, and a kind its offset") {
    const std::unique_ptr<Magazine[]> magazines{new Magazine[SizeClasses::most_in_all]};
    constexpr pages::Tag pool = 7U << pages::kind_bits;
    for (std::size_t number = 0; number < SizeClasses::most_in_all; ++number) {
        const ClassOffset offset = offset_of_class(number);
        CHECK_EQUAL(&magazine_at(magazines.get(), offset), &magazines[number]);
        CHECK(offset_of_kind(slab_kind(offset)) == offset);
        CHECK_EQUAL(gate_key(pool, offset), pool + slab_kind(offset));
        CHECK(slab_kind(offset) < pages::largest_kind);
    }
}
