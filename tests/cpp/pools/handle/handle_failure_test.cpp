#include <cstring>
#include <optional>
#include <vector>

#include "base/error.hpp"
#include "pools/failing_calls.hpp"
#include "pools/handle/handle_pool.hpp"

using namespace numpool;
using namespace numpool::pools;

namespace {

std::vector<HandlePool::Size> sizes() {
    return {{4096, 12, 1 * handle_versions}, {65536, 6, 2 * handle_versions}};
}

/// Acquires all blocks of both sizes, frees every second one, trims, acquires again and frees all.
void go_round(HandlePool& pool) {
    std::vector<Handle> handles;
    const auto acquire_all = [&] {
        while (const Handle handle = pool.acquire(handles.size() % 2 == 0 ? 100 : 5000)) {
            const HandlePool::Block block = pool.find(handle);
            std::memset(block.start, static_cast<int>(handles.size() + 1), block.bytes);
            handles.push_back(handle);
        }
        CHECK_EQUAL(pool.live_blocks(), handles.size());
        pool.check();
    };
    acquire_all();
    std::vector<Handle> kept;
    for (std::size_t i = 0; i < handles.size(); ++i) {
        CHECK(pool.find(handles[i]).start[0] == static_cast<std::byte>(i + 1));
        if (i % 2 == 0) {
            kept.push_back(handles[i]);
        } else {
            CHECK(pool.free(handles[i]) && !pool.find(handles[i]));
        }
    }
    pool.trim();
    pool.check();
    for (std::size_t i = 0; i < kept.size(); ++i)
        CHECK(pool.find(kept[i]).start[0] == static_cast<std::byte>(2 * i + 1));
    handles = kept;
    acquire_all();
    for (const Handle handle : handles) CHECK(pool.free(handle));
    pool.trim();
    pool.check();
    CHECK_EQUAL(pool.live_blocks(), 0U);
}

}  // namespace

TEST("each system call may fail, and every handle finds its block or is stale") {
    fail_each_call([](pages::FakePages& pages) {
        std::optional<HandlePool> pool;
        try {
            pool.emplace(sizes(), pages);
            go_round(*pool);
        } catch (const Exhausted&) {
            CHECK_EQUAL(pages.mapped, 0U);
        }
        pages.stop_failing();
        if (!pool) pool.emplace(sizes(), pages);
        go_round(*pool);
        // This trim purges what an earlier one could not.
        CHECK_EQUAL(pool->committed(), 0U);
    });
}
