#include "pools/magazine/class_offset.hpp"

#include <array>
#include <memory>

#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;

TEST("the table of offsets leads each size to the class that the list of classes names") {
    const std::array<std::size_t, 4> sizes{4000, 20, 32, 100};
    for (const SizeClasses& classes : {SizeClasses{}, SizeClasses{sizes}}) {
        const auto offsets = std::make_unique<ClassOffsets>(classes);
        for (std::size_t bytes = 0; bytes <= SizeClasses::largest; ++bytes) {
            CHECK_EQUAL(class_at(offsets->of(bytes)), classes.class_of(bytes));
        }
        CHECK_EQUAL(class_at(offsets->end()), classes.count());
    }
}

TEST("an offset leads to its class's magazine, kind and key, and from the kind back") {
    const std::unique_ptr<Magazine[]> magazines{new Magazine[SizeClasses::most_in_all]};
    constexpr pages::Tag owner = 7U << pages::kind_bits;
    for (std::size_t number = 0; number < SizeClasses::most_in_all; ++number) {
        const ClassOffset offset = offset_of_class(number);
        CHECK_EQUAL(&magazine_at(magazines.get(), offset), &magazines[number]);
        CHECK(offset_of_kind(slab_kind(offset)) == offset);
        CHECK_EQUAL(gate_key(owner, offset), owner + slab_kind(offset));
        CHECK(slab_kind(offset) < pages::largest_kind);
    }
}
