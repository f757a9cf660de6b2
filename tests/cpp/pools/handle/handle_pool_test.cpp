#include "pools/handle/handle_pool.hpp"

#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "base/error.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;
using numpool::pages::FakePages;

namespace {

std::vector<HandlePool::Size> sizes_of(
    std::initializer_list<std::pair<std::size_t, std::size_t>> sizes) {
    std::vector<HandlePool::Size> result;
    for (const auto& [block_size, blocks] : sizes) {
        result.push_back(
            {block_size, blocks, static_cast<Handle>(result.size() + 1) * handle_versions + 1});
    }
    return result;
}

}  // namespace

TEST("the smallest size that fits serves, or a larger one if its blocks are used up") {
    FakePages pages;
    HandlePool pool{sizes_of({{4096, 1}, {64, 2}, {256, 1}}), pages};
    std::vector<std::size_t> used;
    for (int i = 0; i < 4; ++i) {
        const Handle handle = pool.acquire(60);
        for (const HandleTable& table : pool.tables()) {
            if (table.number() == number_of(handle)) used.push_back(table.block_size());
        }
    }
    CHECK((used == std::vector<std::size_t>{64, 64, 256, 4096}));
    CHECK_EQUAL(pool.acquire(1), 0);
    CHECK_EQUAL(pool.in_use(), 64U + 64U + 256U + 4096U);
    pool.check();
}

TEST("no request gets a smaller block, and one larger than all sizes is refused") {
    FakePages pages;
    HandlePool pool{sizes_of({{64, 2}, {256, 1}}), pages};
    CHECK(pool.acquire(65) != 0);
    CHECK_EQUAL(pool.acquire(65), 0);
    CHECK_EQUAL(pool.acquire(257), 0);
    CHECK(pool.acquire(0) != 0);
    pool.check();
}

TEST("sizes that contradict each other are refused, and nothing stays mapped") {
    FakePages pages;
    CHECK_THROWS(BadArgument, "there is no size", HandlePool({}, pages));
    CHECK_THROWS(BadArgument, "64 bytes is there twice",
                 HandlePool{sizes_of({{64, 1}, {32, 1}, {64, 2}}), pages});
    pages.fail_after(1);
    CHECK_THROWS(Exhausted, "the system refused memory",
                 HandlePool{sizes_of({{64, 1}, {32, 1}}), pages});
    CHECK_EQUAL(pages.mapped, 0U);
}

TEST("a pool agrees with a map of handles through random requests, and refuses all others") {
    FakePages pages;
    std::mt19937_64 random{20261120};
    struct Live {
        std::byte pattern;
        std::size_t bytes;
        std::size_t holds;
    };
    for (int round = 0; round < 5; ++round) {
        HandlePool pool{sizes_of({{8, 20}, {24, 30}, {1000, 15}, {4096, 12}}), pages};
        std::map<Handle, Live> live;
        std::vector<Handle> dead;
        for (int step = 0; step < 20000; ++step) {
            const auto choice = random() % 16;
            const auto any_live = [&] {
                auto it = live.lower_bound(static_cast<Handle>(random() % (5 * handle_versions)));
                return it == live.end() ? live.begin() : it;
            };
            if (choice < 7) {
                const std::size_t bytes = random() % 3 == 0 ? random() % 4097 : random() % 33;
                const Handle handle = pool.acquire(bytes);
                if (handle == 0) continue;
                const auto pattern = static_cast<std::byte>(step);
                const auto block = pool.find(handle);
                std::memset(block.start, static_cast<int>(pattern), bytes);
                CHECK(live.insert({handle, {pattern, bytes, 0}}).second);
            } else if (choice < 13 && !live.empty()) {
                const auto it = any_live();
                const auto block = pool.find(it->first);
                CHECK_EQUAL(block.bytes, it->second.bytes);
                for (std::size_t i = 0; i < block.bytes; ++i)
                    CHECK(block.start[i] == it->second.pattern);
                CHECK_EQUAL(pool.free(it->first), it->second.holds == 0);
                if (it->second.holds != 0) continue;
                dead.push_back(it->first);
                live.erase(it);
            } else if (choice == 13 && !live.empty()) {
                const auto it = any_live();
                if (it->second.holds != 0) {
                    pool.unhold(pool.find(it->first).start);
                    --it->second.holds;
                } else {
                    CHECK(static_cast<bool>(pool.hold(it->first)));
                    ++it->second.holds;
                }
            } else if (choice == 14) {
                const auto made_up = static_cast<Handle>(random());
                if (live.count(made_up) == 0) CHECK(!pool.free(made_up));
                if (!dead.empty()) {
                    const Handle stale = dead[random() % dead.size()];
                    CHECK(!pool.find(stale) && !pool.hold(stale) && !pool.free(stale));
                    CHECK(pool.issued(stale));
                }
            } else if (random() % 100 == 0) {
                pool.trim();
            }
            CHECK_EQUAL(pool.live_blocks(), live.size());
            if (step % 64 == 0) pool.check();
        }
        std::vector<Handle> listed;
        for (const HandleTable& table : pool.tables()) {
            table.for_each_live([&](Handle handle) { listed.push_back(handle); });
        }
        CHECK_EQUAL(listed.size(), live.size());
        for (const Handle handle : listed) CHECK(live.count(handle) == 1);
    }
    CHECK_EQUAL(pages.mapped, 0U);
}
