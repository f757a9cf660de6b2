#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>

#include "base/size.hpp"
#include "base/size_classes.hpp"
#include "pages/range/page_map.hpp"
#include "pages/source/source_handle.hpp"
#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/pool.hpp"

namespace numpool::threads {

/// Pages that are another pool's blocks, so that one pool can draw on another. The limit of that
/// pool bounds all pools that draw on it.
///
/// Only large blocks are requested: a small one of a pool with magazines may take `links_mutex`,
/// which comes before the lock of the pool that draws. Nothing is purged here: the other pool gets
/// its blocks back by `unmap`, and purges them itself.
class PoolPages final : public pages::PageSource {
  public:
    /// The alignment of large blocks in every pool that may be drawn on.
    static constexpr std::size_t natural_align = 64;

    /// `most_align` is the largest alignment that will be requested. If it is above
    /// `natural_align`, each extent costs as many bytes more. Throws BadArgument where the pool may
    /// not be drawn on.
    explicit PoolPages(Pool& pool, std::size_t most_align = natural_align);

    pages::Extent map(std::size_t bytes, std::size_t align) noexcept override;
    pages::Extent map_any(std::size_t bytes, std::size_t align) noexcept override;
    void unmap(pages::Extent extent) noexcept override;
    bool purge(pages::Extent) noexcept override { return false; }
    pages::Extent grow_any(pages::Extent extent, std::size_t bytes) noexcept override;
    std::string refusal() const override;
    bool survives_fork() const noexcept override { return pool_->survives_fork(); }

    /// The size of the block for so many bytes: above the largest size class. A slab pool moves a
    /// span's start by up to a page, so this is a number of whole granules less a page.
    static constexpr std::size_t block_bytes(std::size_t bytes, std::size_t page_size) noexcept {
        const std::size_t least = std::max(bytes, SizeClasses::largest + 1);
        return round_up(least + page_size, pages::granule) - page_size;
    }

  private:
    /// The room before each extent. Its last bytes hold the address of the block.
    std::size_t room() const noexcept { return align_ > natural_align ? align_ : 0; }
    std::byte* block_of(pages::Extent extent) const noexcept;
    pages::Extent map_block(std::size_t bytes, std::size_t align, bool zeroed) noexcept;
    void note(std::size_t more, std::size_t less) noexcept;

    PoolHandle<Pool> pool_;
    /// The same pool.
    ByteSource* source_;
    std::size_t align_;
    std::atomic<std::size_t> given_ = 0;
};

/// A new PoolPages. The pools that draw on it keep it.
pages::SourceHandle draw_on(Pool& pool, std::size_t most_align = PoolPages::natural_align);

}  // namespace numpool::threads
