// Large blocks: a bank of spans whose page source may refuse anything.
#include "live_blocks.hpp"
#include "pages/source/fake_pages.hpp"
#include "pools/moving/span_mover.hpp"
#include "pools/span/span_pool.hpp"

using namespace numpool;
using namespace numpool::pools;

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

struct Owner {
    pages::Tag tag = pages::page_map.register_pool();
    ~Owner() { pages::page_map.unregister_pool(tag); }
};

SpanBankOptions options_from(fuzz::Input& input) {
    SpanBankOptions options;
    const std::uint8_t choice = input.byte();
    options.huge_pages = (choice & 1) != 0;
    options.moving = (choice & 2) != 0 ? move_pages : nullptr;
    if ((choice & 4) != 0) options.limit = 16 * mebibyte;
    if ((choice & 8) != 0) options.cached_limit = input.size(24);
    if ((choice & 16) != 0) options.decay_milliseconds = 0;
    if ((choice & 32) != 0) options.small_huge_from = 0;
    return options;
}

}  // namespace

void fuzz::use(Input& input) {
    const SpanBankOptions options = options_from(input);
    pages::FakePages pages{pages::range_pages()};
    const Owner owner;
    SpanBank bank{options, owner.tag, pages};
    SpanPool pool{bank};
    LiveBlocks live;
    while (input.more()) {
        const std::uint8_t choice = input.byte();
        if (choice < 100) {
            const std::size_t bytes = input.size(24);
            if (live.bytes() + bytes > 64 * mebibyte) continue;
            const bool zeroed = choice < 30;
            std::byte* const block = pool.acquire(bytes, zeroed);
            if (block == nullptr) {
                REQUIRE(bank.refusal() != Refusal::none);
                continue;
            }
            if (zeroed) LiveBlocks::require_zero(block, bytes);
            live.add(block, bytes);
        } else if (choice < 180 && !live.empty()) {
            std::byte* const block = live.remove(live.any(input)).start;
            REQUIRE(!pool.release(block + 64));
            REQUIRE(pool.release(block));
            REQUIRE(!pool.release(block));
        } else if (choice < 220 && !live.empty()) {
            const std::size_t index = live.any(input);
            const std::size_t bytes = input.size(24);
            std::byte* const block = pool.reallocate(live[index].start, bytes);
            if (block == nullptr) {
                live.verify(index);
            } else {
                live.replace(index, block, bytes);
            }
        } else if (choice < 230 && !live.empty()) {
            const LiveBlocks::Block& block = live[live.any(input)];
            REQUIRE(pool.requested(block.start) == block.bytes);
            REQUIRE(pool.span_of(block.start + 64) == nullptr);
        } else if (choice < 240) {
            pages.fail_after(input.below(8), input.byte());
        } else if (choice < 244) {
            pages.stop_failing();
        } else if (choice < 248) {
            bank.trim();
        } else if (choice < 250) {
            bank.decay();
        } else if (choice < 252) {
            bank.has_pages_for(input.size(22));
        } else {
            bank.check();
        }
        REQUIRE(bank.figures().live <= options.limit);
    }
    bank.check();
    pages.stop_failing();
    while (!live.empty()) REQUIRE(pool.release(live.remove(0).start));
    bank.check();
    REQUIRE(bank.live() == 0);
    bank.trim();
    bank.check();
    REQUIRE(bank.figures().committed == 0);
}
