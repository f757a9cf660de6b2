#include "pools/fixed/fixed_pool.hpp"

#include <algorithm>
#include <new>
#include <string>

#include "base/error.hpp"
#include "base/size.hpp"
#include "base/size_text.hpp"

namespace numpool::pools {
namespace {

constexpr std::size_t link_bytes = sizeof(std::byte*);

void require_positive(const char* name, std::size_t value) {
    if (value == 0) throw BadArgument{std::string{name} + " is 0: a pool needs at least 1"};
}

std::size_t checked_align(const FixedPoolOptions& options) {
    require_positive("block_size", options.block_size);
    require_positive("blocks", options.blocks);
    if (options.block_size > max_size) {
        throw BadArgument{"block_size is " + std::to_string(options.block_size) +
                          ": more than an address space holds (128 TiB)"};
    }
    if (options.max_blocks < options.blocks) {
        throw BadArgument{
            "max_blocks is " + std::to_string(options.max_blocks) + ", less than the " +
            std::to_string(options.blocks) +
            " blocks that the pool starts with: give at least as many, or None for no bound"};
    }
    if (options.align == 0) return usual_align(options.block_size);
    if (!is_power_of_two(options.align) || options.align > max_size) {
        throw BadArgument{"align is " + std::to_string(options.align) +
                          ": it must be a power of two, like 64 or 4096"};
    }
    return std::max(options.align, link_bytes);
}

std::size_t stride_of(const FixedPoolOptions& options, std::size_t align) {
    const std::size_t bytes = options.keep_contents ? options.block_size + link_bytes
                                                    : std::max(options.block_size, link_bytes);
    return round_up(bytes, align);
}

}  // namespace

FixedPool::FixedPool(const FixedPoolOptions& options, pages::PageSource& source)
    : stride_{stride_of(options, checked_align(options))},
      link_offset_{options.keep_contents ? options.block_size : 0},
      source_{source},
      block_size_{options.block_size},
      align_{checked_align(options)},
      first_blocks_{options.blocks},
      max_blocks_{options.max_blocks},
      ledger_{options.ledger},
      huge_pages_{options.huge_pages} {
    const auto bytes = checked_product(stride(), options.blocks);
    if (!bytes) {
        throw BadArgument{std::to_string(options.blocks) + " blocks of " + size_to_text(stride()) +
                          " are more than an address space holds (128 TiB)"};
    }
    if (!add_chunk(options.blocks)) {
        throw Exhausted{"the system refused " + size_to_text(*bytes) + " for " +
                        count_to_text(options.blocks, "block") + " of " + size_to_text(stride()) +
                        source_.refusal_clause()};
    }
}

FixedPool::~FixedPool() {
    for (const Chunk& chunk : chunks_) source_.unmap(chunk.pages);
}

/// A block that is neither in the free list nor in the range of fresh blocks in use.
FixedPool::Block FixedPool::acquire_rest() noexcept {
    if (unconstructed_ != nullptr) {
        std::byte* const block = unconstructed_;
        unconstructed_ = next_of(block);
        return {block, false, false};
    }
    if (fresh_ranges_.empty()) return {};
    fresh_ = fresh_ranges_.back().start;
    fresh_end_ = fresh_ranges_.back().end;
    fresh_ranges_.pop_back();
    std::byte* const block = fresh_;
    fresh_ += stride_.bytes();
    return {block, false, true};
}

/// Doubles the pool. If the system refuses that, adds half as much.
bool FixedPool::grow() {
    const std::size_t room = max_blocks_ - blocks_;
    const std::size_t wanted = std::min(blocks_, room);
    if (wanted == 0) return false;
    if (!add_chunk(wanted) && (wanted == 1 || !add_chunk(wanted / 2))) return false;
    ++growths_;
    return true;
}

bool FixedPool::add_chunk(std::size_t blocks) try {
    const auto bytes = checked_product(stride(), blocks);
    if (!bytes) return false;
    chunks_.reserve(chunks_.size() + 1);
    Ledger ledger = ledger_ ? Ledger{blocks} : Ledger{};
    const pages::Extent extent = stride() >= pages::huge_page
                                     ? source_.map_advised(*bytes, align_, huge_pages_)
                                     : source_.map(*bytes, align_);
    if (!extent) return false;
    chunks_.push_back({extent, blocks, std::move(ledger)});
    note_newest();
    blocks_ += blocks;
    fresh_ = extent.start;
    fresh_end_ = extent.start + *bytes;
    return true;
} catch (const std::bad_alloc&) {  // Of the records, before the pages are mapped.
    return false;
}

void FixedPool::note_newest() noexcept {
    const Chunk& newest = chunks_.back();
    newest_ = {newest.pages.start, newest.blocks, newest.ledger.entries()};
}

bool FixedPool::owns(const std::byte* address) const noexcept {
    return std::any_of(chunks_.begin(), chunks_.end(), [&](const Chunk& chunk) {
        return address >= chunk.pages.start &&
               address < chunk.pages.start + chunk.blocks * stride();
    });
}

std::size_t FixedPool::mapped() const noexcept {
    std::size_t bytes = 0;
    for (const Chunk& chunk : chunks_) bytes += chunk.pages.bytes;
    return bytes;
}

std::size_t FixedPool::fresh_blocks() const noexcept {
    std::size_t bytes = static_cast<std::size_t>(fresh_end_ - fresh_);
    for (const FreshRange& range : fresh_ranges_)
        bytes += static_cast<std::size_t>(range.end - range.start);
    return bytes / stride();
}

}  // namespace numpool::pools
