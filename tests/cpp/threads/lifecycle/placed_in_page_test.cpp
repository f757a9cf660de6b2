#include "threads/lifecycle/placed_in_page.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "testing.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool::threads;

namespace {

std::uintptr_t place_of(const void* object) {
    return reinterpret_cast<std::uintptr_t>(object) % 4096;
}

template <std::size_t size>
struct Thing : PlacedInPage<0x140> {
    virtual ~Thing() = default;
    std::array<unsigned char, size> bytes;
};

template <std::size_t size>
void check_things() {
    std::vector<std::unique_ptr<Thing<size>>> things;
    for (int i = 0; i < 5; ++i) {
        things.push_back(std::make_unique<Thing<size>>());
        CHECK_EQUAL(place_of(things.back().get()), 0x140U);
        things.back()->bytes.fill(static_cast<unsigned char>(i));
    }
    for (int i = 0; i < 5; ++i) {
        CHECK_EQUAL(things[i]->bytes.front(), i);
        CHECK_EQUAL(things[i]->bytes.back(), i);
    }
}

}  // namespace

TEST("an object begins at its place in a page, and all of it has memory") {
    check_things<1>();
    check_things<4096 - 0x140 - sizeof(void*)>();
    check_things<4096>();
    check_things<100'000>();
}

TEST("a slab pool's place in its page makes no size class wait for its own stores") {
    // A block of an odd size before each: plain malloc would then put the pools anywhere.
    for (std::size_t odd = 8; odd < 4096; odd = odd * 3 + 8) {
        const std::vector<char> before(odd);
        const auto pool = SharedSlabPool::create();
        CHECK_EQUAL(place_of(pool.get()), 0x880U);
        CHECK_EQUAL(place_of(&pool->classes()), 0x940U);
        pool->release(pool->acquire(100), 100);
    }
}
