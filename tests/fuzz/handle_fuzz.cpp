// Blocks known by handles: the pool may refuse, and never confuses two.
#include <map>

#include "live_blocks.hpp"
#include "pages/source/fake_pages.hpp"
#include "pools/handle/handle_pool.hpp"

using namespace numpool;
using namespace numpool::pools;

void fuzz::use(Input& input) {
    std::vector<HandlePool::Size> sizes;
    for (const std::size_t size : {8, 24, 1000, 4096}) {
        const auto number = static_cast<Handle>(sizes.size() + 1);
        sizes.push_back({size, std::size_t{1} + input.byte() % 32, number * handle_versions});
    }
    pages::FakePages pages;
    HandlePool pool{sizes, pages};
    LiveBlocks live;
    std::map<std::byte*, std::size_t> holds;
    std::vector<Handle> stale;
    const auto handle_of = [&](std::size_t index) { return static_cast<Handle>(live[index].note); };
    while (input.more()) {
        const std::uint8_t choice = input.byte();
        if (choice < 90) {
            const std::size_t bytes = input.size(13);
            const Handle handle = pool.acquire(bytes);
            if (handle == 0) continue;
            const HandlePool::Block block = pool.find(handle);
            REQUIRE(block.bytes == bytes && pool.owns(block.start));
            for (const auto& other : live) REQUIRE(static_cast<Handle>(other.note) != handle);
            live.add(block.start, bytes, static_cast<std::uint64_t>(handle));
        } else if (choice < 160 && !live.empty()) {
            const std::size_t index = live.any(input);
            const Handle handle = handle_of(index);
            const bool held = holds[live[index].start] != 0;
            REQUIRE(pool.free(handle) == !held);
            if (held) continue;
            live.remove(index);
            stale.push_back(handle);
        } else if (choice < 180 && !live.empty()) {
            const std::size_t index = live.any(input);
            REQUIRE(pool.hold(handle_of(index)).start == live[index].start);
            ++holds[live[index].start];
        } else if (choice < 200 && !live.empty()) {
            const std::size_t index = live.any(input);
            std::size_t& held = holds[live[index].start];
            REQUIRE(pool.holds(handle_of(index)) == held);
            if (held == 0) continue;
            --held;
            pool.unhold(live[index].start);
        } else if (choice < 215 && !stale.empty()) {
            const Handle handle = stale[input.below(stale.size())];
            REQUIRE(!pool.find(handle) && !pool.hold(handle) && !pool.free(handle));
            REQUIRE(pool.issued(handle));
        } else if (choice < 225) {
            Handle any = 0;
            for (int i = 0; i < 8; ++i)
                any = static_cast<Handle>(std::uint64_t(any) << 8) | input.byte();
            bool known = false;
            for (const auto& block : live) known = known || static_cast<Handle>(block.note) == any;
            REQUIRE(static_cast<bool>(pool.find(any)) == known);
        } else if (choice < 235) {
            pages.fail_after(input.below(4), input.byte());
        } else if (choice < 240) {
            pages.stop_failing();
        } else if (choice < 245) {
            pool.trim();
        } else {
            pool.check();
        }
        REQUIRE(pool.live_blocks() == live.count());
    }
    pool.check();
    for (std::size_t i = 0; i < live.count(); ++i) {
        live.verify(i);
        REQUIRE(pool.find(handle_of(i)).start == live[i].start);
    }
}
