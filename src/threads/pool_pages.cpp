#include "threads/pool_pages.hpp"

#include <algorithm>
#include <cstdint>

#include "base/error.hpp"
#include "base/size.hpp"
#include "base/size_classes.hpp"
#include "base/size_text.hpp"

namespace numpool::threads {
namespace {

bool is_aligned(const std::byte* block, std::size_t align) noexcept {
    return reinterpret_cast<std::uintptr_t>(block) % align == 0;
}

}  // namespace

PoolPages::PoolPages(Pool& pool) : pool_{&pool}, source_{dynamic_cast<ByteSource*>(&pool)} {
    if (source_ == nullptr) {
        throw BadArgument{pool.title() +
                          " can't be a source: it hands out no memory of the size asked for"};
    }
}

pages::Extent PoolPages::map(std::size_t bytes, std::size_t align) noexcept {
    return take(bytes, align, true);
}

pages::Extent PoolPages::map_any(std::size_t bytes, std::size_t align) noexcept {
    return take(bytes, align, false);
}

pages::Extent PoolPages::take(std::size_t bytes, std::size_t align, bool zeroed) noexcept {
    if (bytes > max_size) return {};
    std::size_t size = round_up(bytes, unit());
    const auto acquire = [&] {
        return zeroed ? source_->try_acquire_zeroed(size) : source_->try_acquire(size);
    };
    std::byte* block = acquire();
    if (block != nullptr && !is_aligned(block, align)) {
        // A slab pool's large blocks are spans, which begin at a multiple of 64 KiB.
        source_->try_release(block, size);
        size = std::max(size, SizeClasses::largest + unit());
        block = acquire();
        if (block != nullptr && !is_aligned(block, align)) {
            source_->try_release(block, size);
            block = nullptr;
        }
    }
    if (block == nullptr) return {};
    note(size, 0);
    return {block, size};
}

void PoolPages::unmap(pages::Extent extent) noexcept {
    source_->try_release(extent.start, extent.bytes);
    note(0, extent.bytes);
}

pages::Extent PoolPages::grow_any(pages::Extent extent, std::size_t bytes) noexcept {
    if (bytes > max_size) return {};
    const std::size_t size = round_up(bytes, unit());
    std::byte* const block = source_->try_reallocate(extent.start, size);
    if (block == nullptr) return {};
    note(size, extent.bytes);
    return {block, size};
}

/// The pool knows who holds memory of it.
void PoolPages::note(std::size_t more, std::size_t less) noexcept {
    const std::size_t before = given_.fetch_add(more - less, std::memory_order_relaxed);
    const std::size_t after = before + more - less;
    if (before == 0 && after != 0) pool_->begin_drawing();
    if (before != 0 && after == 0) pool_->end_drawing();
}

std::string PoolPages::refusal() const {
    if (pool_->closed()) return "its source " + pool_->title() + " is closed";
    const PoolFigures figures = pool_->figures();
    std::string text = "its source " + pool_->title() + " has " + size_to_text(figures.in_use);
    if (figures.limit != PoolFigures::no_limit)
        text += " of a limit of " + size_to_text(figures.limit);
    return text + " in use";
}

pages::SourceHandle draw_on(Pool& pool) {
    return pages::SourceHandle{std::make_shared<PoolPages>(pool)};
}

}  // namespace numpool::threads
