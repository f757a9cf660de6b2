// Options of every pool: one that can be serves a request, the others say what is wrong.
#include <new>

#include "base/error.hpp"
#include "live_blocks.hpp"
#include "pages/source/fake_pages.hpp"
#include "pools/arena/arena.hpp"
#include "pools/buddy/buddy_pool.hpp"
#include "pools/fixed/fixed_pool.hpp"
#include "pools/handle/handle_pool.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::pools;

namespace {

constexpr std::size_t budget = std::size_t{64} << 20;

void use_fixed(fuzz::Input& input, pages::PageSource& source) {
    FixedPoolOptions options;
    options.block_size = input.any_size(24);
    options.blocks = input.any_size(16);
    options.max_blocks = input.any_size(18);
    options.align = input.any_size(14);
    options.ledger = input.flag();
    options.keep_contents = input.flag();
    FixedPool pool{options, source};
    REQUIRE(options.block_size != 0 && options.blocks <= options.max_blocks);
    const FixedPool::Block block = pool.acquire();
    REQUIRE(block && pool.owns(block.start + options.block_size - 1));
    REQUIRE(options.align == 0 ||
            reinterpret_cast<std::uintptr_t>(block.start) % options.align == 0);
    REQUIRE(pool.release(block.start));
    pool.check();
}

void use_buddy(fuzz::Input& input, pages::PageSource& source) {
    const std::size_t capacity = input.any_size(26);
    const std::size_t cell = input.any_size(16);
    BuddyPool pool{capacity, cell, source};
    REQUIRE(pool.capacity() <= budget);
    const BuddyPool::Block block = pool.acquire(cell);
    REQUIRE(block.start != nullptr && pool.release(block.start));
    pool.check();
}

void use_arena(fuzz::Input& input, pages::PageSource& source) {
    Arena arena{input.any_size(20), source};
    const std::size_t bytes = input.any_size(20);
    std::byte* const block = arena.acquire(bytes);
    REQUIRE(block != nullptr || std::max(bytes, arena.chunk_size()) > budget / 2);
    if (block != nullptr) arena.end_use(block);
    arena.check();
}

void use_handles(fuzz::Input& input, pages::PageSource& source) {
    std::vector<HandlePool::Size> sizes;
    for (std::size_t i = input.byte() % 4; i-- > 0;) {
        const auto number = static_cast<Handle>(sizes.size() + 1);
        sizes.push_back({input.any_size(16), input.any_size(16), number * handle_versions});
    }
    HandlePool pool{sizes, source};
    const Handle handle = pool.acquire(1);
    REQUIRE(handle != 0 && pool.free(handle));
    pool.check();
}

void use_slabs(fuzz::Input& input, pages::PageSource& source) {
    threads::SharedSlabPoolOptions options;
    for (std::size_t i = input.byte() % 6; i-- > 0;) options.classes.push_back(input.any_size(17));
    options.spans.limit = input.any_size(24);
    options.spans.cached_limit = input.any_size(24);
    options.spans.decay_milliseconds = input.any_size(12);
    options.spans.small_huge_from = input.any_size(24);
    const auto pool = threads::SharedSlabPool::create(options, source, source);
    for (const std::size_t bytes : {input.any_size(24), input.any_size(12)}) {
        std::byte* const block = pool->try_acquire(bytes);
        if (block == nullptr) continue;
        REQUIRE(pool->usable_size(block) >= bytes &&
                pool->usable_size(block) <= options.spans.limit);
        REQUIRE(pool->try_release(block, bytes));
    }
    pool->check();
}

}  // namespace

void fuzz::use(Input& input) {
    input.more();
    const std::uint8_t kind = input.byte() % 5;
    pages::PageSource* under = &pages::os_pages();
    if (kind == 4) under = &pages::range_pages();
    pages::FakePages source{*under};
    source.limit = kind == 4 ? 4 * budget : budget;
    try {
        switch (kind) {
            case 0:
                return use_fixed(input, source);
            case 1:
                return use_buddy(input, source);
            case 2:
                return use_arena(input, source);
            case 3:
                return use_handles(input, source);
            default:
                return use_slabs(input, source);
        }
    } catch (const BadArgument& error) {
        REQUIRE(error.what()[0] != '\0');
    } catch (const Exhausted& error) {
        REQUIRE(error.what()[0] != '\0');
    }
    REQUIRE(source.mapped == 0);
}
