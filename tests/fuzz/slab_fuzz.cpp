// Blocks of any size, as NumPy gets them: small ones from slabs, large ones from spans.
#include "base/error.hpp"
#include "live_blocks.hpp"
#include "pages/source/fake_pages.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

SharedSlabPoolOptions options_from(fuzz::Input& input) {
    SharedSlabPoolOptions options;
    const std::uint8_t choice = input.byte();
    options.wipe = (choice & 1) != 0;
    if ((choice & 2) != 0) options.spans.limit = 4 * mebibyte;
    if ((choice & 4) != 0) options.spans.cached_limit = input.size(23);
    if ((choice & 8) != 0) options.spans.decay_milliseconds = 0;
    if ((choice & 16) != 0) options.classes = {24, 100, 900, 3000, 9000};
    return options;
}

}  // namespace

void fuzz::use(Input& input) {
    const SharedSlabPoolOptions options = options_from(input);
    pages::FakePages pages{pages::range_pages()};
    const auto pool = SharedSlabPool::create(options, pages, pages);
    LiveBlocks live;
    int foreign = 0;
    while (input.more()) {
        const std::uint8_t choice = input.byte();
        if (choice < 100) {
            const std::size_t bytes = input.size(choice < 70 ? 12 : 21);
            const bool zeroed = choice % 4 == 0;
            if (live.bytes() + bytes > 32 * mebibyte) continue;
            std::byte* const block =
                zeroed ? pool->try_acquire_zeroed(bytes) : pool->try_acquire(bytes);
            if (block == nullptr) continue;
            if (zeroed || options.wipe) LiveBlocks::require_zero(block, bytes);
            REQUIRE(pool->usable_size(block) >= bytes);
            live.add(block, bytes);
        } else if (choice < 190 && !live.empty()) {
            const LiveBlocks::Block block = live.remove(live.any(input));
            // The size is a hint, and may be wrong.
            REQUIRE(pool->try_release(block.start, choice < 180 ? block.bytes : input.size(20)));
        } else if (choice < 225 && !live.empty()) {
            const std::size_t index = live.any(input);
            const std::size_t bytes = input.size(choice < 210 ? 12 : 21);
            std::byte* const block = pool->try_reallocate(live[index].start, bytes);
            if (block == nullptr) {
                live.verify(index);
            } else {
                live.replace(index, block, bytes);
            }
        } else if (choice < 235) {
            pages.fail_after(input.below(8), input.byte());
        } else if (choice < 240) {
            pages.stop_failing();
        } else if (choice < 245) {
            REQUIRE(!pool->owns(reinterpret_cast<std::byte*>(&foreign)));
            REQUIRE(!pool->try_release(&foreign, input.size(20)));
        } else if (choice < 248) {
            pool->trim();
        } else if (choice < 251) {
            pool->decay();
        } else {
            pool->check();
            REQUIRE(pool->figures().blocks == live.count());
        }
    }
    pool->check();
    pages.stop_failing();
    while (!live.empty()) REQUIRE(pool->try_release(live.remove(0).start));
    pool->check();
    REQUIRE(pool->figures().blocks == 0);
    pool->trim();
    REQUIRE(pool->figures().committed == 0);
}
