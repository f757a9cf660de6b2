#include "numpool/memory_resource.hpp"

#include <list>
#include <map>
#include <string>
#include <vector>

#include "testing.hpp"

using namespace numpool;

TEST("containers of std::pmr live in a pool") {
    SlabPool pool{{.limit = 16 << 20, .name = "frames"}};
    memory_resource resource{pool};
    {
        std::pmr::vector<double> numbers(100'000, 1.0, &resource);
        std::pmr::map<int, std::pmr::string> names{&resource};
        for (int i = 0; i < 1000; ++i) names[i] = std::string(static_cast<std::size_t>(i), 'x');
        CHECK(pool.owns(numbers.data()));
        CHECK(pool.owns(names[999].data()));
        CHECK(pool.figures().requested > 800'000);
        CHECK_THROWS(std::bad_alloc, "SlabPool 'frames'", numbers.resize(10'000'000));
    }
    CHECK_EQUAL(pool.figures().blocks, 0u);
}

TEST("two resources are equal where they are of one pool") {
    const SlabPool pool;
    const memory_resource one{pool};
    const memory_resource same{pool};
    const memory_resource other{SlabPool{}};
    CHECK(one == same);
    CHECK(one != other);
    CHECK(one != *std::pmr::new_delete_resource());
}

TEST("a container's allocator is a pool, and goes with the container") {
    const SlabPool pool;
    const BuddyPool region{{.capacity = 1 << 20}};
    {
        std::vector<int, allocator<int>> numbers(1000, 7, Pool{pool});
        std::list<int, allocator<int>> nodes({1, 2, 3}, allocator<int>{region});
        CHECK(pool.owns(numbers.data()));
        CHECK(region.owns(&nodes.front()));
        std::vector<int, allocator<int>> others{Pool{region}};
        others = numbers;
        CHECK(others.get_allocator() == numbers.get_allocator());
        CHECK(pool.owns(others.data()));
        CHECK(allocator<double>{others.get_allocator()} == numbers.get_allocator());
        CHECK_THROWS(std::bad_array_new_length, "", numbers.get_allocator().allocate(~0ull / 2));
    }
    CHECK_EQUAL(pool.figures().blocks, 0u);
    CHECK_EQUAL(region.figures().blocks, 0u);
}
