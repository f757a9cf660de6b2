#include "observe/address_table.hpp"

#include <cstdint>
#include <map>
#include <random>

#include "testing.hpp"

using namespace numpool::observe;

namespace {

const void* address(std::uintptr_t number) {
    return reinterpret_cast<const void*>(number * 64);
}

}  // namespace

TEST("a table finds what was put, once") {
    AddressTable<int> table;
    CHECK(!table.take(address(1)));
    CHECK(!table.put(address(1), 10));
    CHECK_EQUAL(table.put(address(1), 11).value(), 10);
    CHECK_EQUAL(table.size(), std::size_t{1});
    CHECK(!table.take(address(2)));
    CHECK(!table.take(nullptr));
    CHECK_EQUAL(table.take(address(1)).value(), 11);
    CHECK(!table.take(address(1)));
    CHECK_EQUAL(table.size(), std::size_t{0});
}

TEST("random puts and takes agree with a map") {
    std::mt19937 random{1};
    AddressTable<int> table;
    std::map<const void*, int> model;
    for (int i = 0; i < 200000; ++i) {
        // Multiples of a large power of two collide more often than others.
        const std::uintptr_t number = 1 + random() % 600;
        const void* const key = address(random() % 2 == 0 ? number : number << 20);
        if (random() % 2 == 0) {
            table.put(key, i);
            model[key] = i;
        } else {
            const auto taken = table.take(key);
            const auto found = model.find(key);
            CHECK_EQUAL(taken.has_value(), found != model.end());
            if (!taken) continue;
            CHECK_EQUAL(*taken, found->second);
            model.erase(found);
        }
        CHECK_EQUAL(table.size(), model.size());
    }
    std::size_t visited = 0;
    table.for_each([&](const AddressTable<int>::Entry& entry) {
        CHECK_EQUAL(model.at(entry.address), entry.value);
        ++visited;
    });
    CHECK_EQUAL(visited, model.size());
    table.clear();
    CHECK_EQUAL(table.size(), std::size_t{0});
    CHECK(!table.take(address(1)));
}
