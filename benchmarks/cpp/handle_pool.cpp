/// Integers in place of pointers: what it costs to find a block by a handle that may be stale, with
/// a thousand others live.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <unordered_map>
#include <vector>

#include "pools/handle/handle_pool.hpp"
#include "threads/handle/shared_handle_pool.hpp"
#include "turns.hpp"

#if __has_include(<boost/pool/object_pool.hpp>)
#include <boost/pool/object_pool.hpp>
#define NUMPOOL_HAS_BOOST 1
#endif

namespace {

using numpool::pools::Handle;
using turns::use;

constexpr std::size_t block_size = 64;
constexpr std::size_t live_blocks = 1000;
constexpr std::size_t times = 20'000;

struct Object {
    std::byte bytes[block_size];
};

/// The limit: an index and a 32-bit version, one size, no bound that grows, nothing to hold.
class BareSlotMap {
  public:
    explicit BareSlotMap(std::size_t blocks) : objects_(blocks), slots_(blocks) {
        for (std::size_t i = blocks; i-- > 0;) {
            slots_[i].next = free_;
            free_ = static_cast<std::uint32_t>(i);
        }
    }
    Handle acquire() {
        const std::uint32_t index = free_;
        free_ = slots_[index].next;
        return static_cast<Handle>(std::uint64_t{++slots_[index].version} << 32 | index);
    }
    void* find(Handle handle) {
        const auto index = static_cast<std::uint32_t>(handle);
        if (index >= slots_.size() || slots_[index].version != handle >> 32) return nullptr;
        return &objects_[index];
    }
    void free(Handle handle) {
        if (find(handle) == nullptr) return;
        const auto index = static_cast<std::uint32_t>(handle);
        ++slots_[index].version;
        slots_[index].next = free_;
        free_ = index;
    }

  private:
    struct Slot {
        std::uint32_t version = 0;
        std::uint32_t next = 0;
    };
    std::vector<Object> objects_;
    std::vector<Slot> slots_;
    std::uint32_t free_ = 0;
};

/// What programs write themselves: a number for each object, never used twice.
class HashMap {
  public:
    Handle acquire() {
        objects_.emplace(++last_, std::make_unique<Object>());
        return last_;
    }
    void* find(Handle handle) {
        const auto found = objects_.find(handle);
        return found == objects_.end() ? nullptr : found->second.get();
    }
    void free(Handle handle) { objects_.erase(handle); }

  private:
    std::unordered_map<Handle, std::unique_ptr<Object>> objects_;
    Handle last_ = 0;
};

numpool::threads::SharedHandlePoolOptions shared_options() {
    numpool::threads::SharedHandlePoolOptions options;
    options.sizes = {{block_size, live_blocks + 1}};
    return options;
}

/// Frees a live handle at random, and acquires another.
template <class Acquire, class Free>
auto replacing(Acquire acquire, Free free) {
    std::vector<decltype(acquire())> live;
    while (live.size() < live_blocks) live.push_back(acquire());
    return [=, random = std::minstd_rand{1}]() mutable {
        auto& one = live[random() % live.size()];
        free(one);
        one = acquire();
    };
}

/// Finds a live handle at random.
template <class Acquire, class Find>
auto finding(Acquire acquire, Find find) {
    std::vector<Handle> live;
    while (live.size() < live_blocks) live.push_back(acquire());
    return [=, random = std::minstd_rand{1}]() mutable { use(find(live[random() % live.size()])); };
}

}  // namespace

int main() {
    using numpool::pools::HandlePool;
    using numpool::threads::SharedHandlePool;
    const auto sizes = [] {
        return std::vector<HandlePool::Size>{
            {block_size, live_blocks + 1, numpool::pools::handle_versions}};
    };
    {
        BareSlotMap bare{live_blocks + 1};
        HandlePool pool{sizes()};
        const auto shared = SharedHandlePool::create(shared_options());
        HashMap map;
        turns::Contest contest{"free one of 1000 at random, acquire one", times};
        contest.add("bare slot map, inline (the limit)",
                    replacing([&] { return bare.acquire(); }, [&](Handle h) { bare.free(h); }));
        contest.add("HandlePool", replacing([&] { return pool.acquire(block_size); },
                                            [&](Handle h) { pool.free(h); }));
        contest.add("SharedHandlePool (any thread)",
                    replacing([&] { return shared->acquire(block_size); },
                              [&](Handle h) { shared->free(h); }));
        contest.add("std::unordered_map and new",
                    replacing([&] { return map.acquire(); }, [&](Handle h) { map.free(h); }));
        contest.add("malloc and free (pointers, unchecked)",
                    replacing([] { return std::malloc(block_size); },
                              [](void* block) { std::free(block); }));
#ifdef NUMPOOL_HAS_BOOST
        boost::object_pool<Object> boosted;
        contest.add("boost::object_pool (pointers, unchecked)",
                    replacing([&] { return boosted.construct(); },
                              [&](Object* object) { boosted.destroy(object); }));
#else
        std::puts("boost::object_pool is missing: its headers are not installed");
#endif
        contest.run();
    }
    BareSlotMap bare{live_blocks + 1};
    HandlePool pool{sizes()};
    const auto shared = SharedHandlePool::create(shared_options());
    HashMap map;
    turns::Contest contest{"find one of 1000 at random", times};
    contest.add("bare slot map, inline (the limit)",
                finding([&] { return bare.acquire(); }, [&](Handle h) { return bare.find(h); }));
    contest.add("HandlePool", finding([&] { return pool.acquire(block_size); },
                                      [&](Handle h) { return pool.find(h).start; }));
    contest.add("SharedHandlePool (any thread)",
                finding([&] { return shared->acquire(block_size); },
                        [&](Handle h) { return shared->find(h).start; }));
    contest.add("std::unordered_map and new",
                finding([&] { return map.acquire(); }, [&](Handle h) { return map.find(h); }));
    contest.run();
    return 0;
}
