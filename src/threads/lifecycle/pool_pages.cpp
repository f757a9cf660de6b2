#include "threads/lifecycle/pool_pages.hpp"

#include <cstdint>
#include <cstring>

#include "base/error.hpp"
#include "base/size_text.hpp"

namespace numpool::threads {

PoolPages::PoolPages(Pool& pool, std::size_t most_align)
    : pool_{&pool}, source_{dynamic_cast<ByteSource*>(&pool)}, align_{most_align} {
    if (source_ == nullptr || !pool.may_be_drawn_on()) {
        throw BadArgument{pool.title() +
                          " can't be a source of other pools: a SlabPool or a BuddyPool can"};
    }
}

pages::Extent PoolPages::map(std::size_t bytes, std::size_t align) noexcept {
    return map_block(bytes, align, true);
}

pages::Extent PoolPages::map_any(std::size_t bytes, std::size_t align) noexcept {
    return map_block(bytes, align, false);
}

pages::Extent PoolPages::map_block(std::size_t bytes, std::size_t align, bool zeroed) noexcept {
    if (bytes > max_size || align > std::max(align_, natural_align)) return {};
    const std::size_t whole = block_bytes(bytes + room(), pages::page_size());
    std::byte* const block =
        zeroed ? source_->try_acquire_zeroed(whole) : source_->try_acquire(whole);
    if (block == nullptr) return {};
    const auto address = reinterpret_cast<std::uintptr_t>(block);
    if (address % std::min(align, natural_align) != 0) {
        source_->try_release(block, whole);
        return {};
    }
    std::byte* start = block;
    if (room() != 0) {
        // The next multiple of `align_` lies at least `natural_align` bytes behind the block's
        // start.
        start += round_down(address + room(), align_) - address;
        std::memcpy(start - sizeof block, &block, sizeof block);
    }
    const pages::Extent extent{start, whole - room()};
    note(extent.bytes, 0);
    return extent;
}

std::byte* PoolPages::block_of(pages::Extent extent) const noexcept {
    if (room() == 0) return extent.start;
    std::byte* block = nullptr;
    std::memcpy(&block, extent.start - sizeof block, sizeof block);
    return block;
}

void PoolPages::unmap(pages::Extent extent) noexcept {
    source_->try_release(block_of(extent), extent.bytes + room());
    note(0, extent.bytes);
}

pages::Extent PoolPages::grow_any(pages::Extent extent, std::size_t bytes) noexcept {
    // The extent would lie at another distance from the start of the moved block.
    if (bytes > max_size || room() != 0) return {};
    const std::size_t size = block_bytes(bytes, pages::page_size());
    std::byte* const block = source_->try_reallocate(extent.start, size);
    if (block == nullptr) return {};
    note(size, extent.bytes);
    return {block, size};
}

/// Counts bytes that were mapped or unmapped. The pool counts the sources that hold memory of it.
void PoolPages::note(std::size_t more, std::size_t less) noexcept {
    const std::size_t before = given_.fetch_add(more - less, std::memory_order_relaxed);
    const std::size_t after = before + more - less;
    if (before == 0 && after != 0) pool_->begin_drawing();
    if (before != 0 && after == 0) pool_->end_drawing();
}

[[gnu::cold]] std::string PoolPages::refusal() const {
    if (pool_->closed()) return "its source " + pool_->title() + " is closed";
    const PoolFigures figures = pool_->figures();
    std::string text = "its source " + pool_->title() + " has " + size_to_text(figures.in_use);
    if (figures.limit != PoolFigures::no_limit)
        text += " of a limit of " + size_to_text(figures.limit);
    return text + " in use";
}

pages::SourceHandle draw_on(Pool& pool, std::size_t most_align) {
    return pages::SourceHandle{std::make_shared<PoolPages>(pool, most_align)};
}

}  // namespace numpool::threads
