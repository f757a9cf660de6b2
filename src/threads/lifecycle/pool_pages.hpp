#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "pages/source/source_handle.hpp"
#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/pool.hpp"

namespace numpool::threads {

/// Pages that are another pool's blocks: what lets one pool draw on another. What bounds that pool
/// bounds all that draw on it.
///
/// Only large blocks are asked for, since small ones of a pool with magazines may take the lock of
/// all threads' links, which comes before that of the pool that draws. Nothing is purged here: what
/// its pool needs back it gets by `unmap`, and gives back itself.
class PoolPages final : public pages::PageSource {
  public:
    /// What blocks of a pool that knows nothing of pages are aligned to.
    static constexpr std::size_t natural_align = 64;

    /// `most_align` is the most that will be asked for; more than the natural one costs as much of
    /// each extent. Throws BadArgument where the pool may not be drawn on.
    explicit PoolPages(Pool& pool, std::size_t most_align = natural_align);

    pages::Extent map(std::size_t bytes, std::size_t align) noexcept override;
    pages::Extent map_any(std::size_t bytes, std::size_t align) noexcept override;
    void unmap(pages::Extent extent) noexcept override;
    bool purge(pages::Extent) noexcept override { return false; }
    pages::Extent grow_any(pages::Extent extent, std::size_t bytes) noexcept override;
    std::string refusal() const override;
    std::size_t given() const noexcept override { return given_.load(std::memory_order_relaxed); }

    Pool& pool() const noexcept { return *pool_; }

  private:
    /// The block that serves for so many bytes.
    std::size_t block_bytes(std::size_t bytes) const noexcept;
    /// The room before each extent; its last bytes say where the block began.
    std::size_t room() const noexcept { return align_ > natural_align ? align_ : 0; }
    std::byte* block_of(pages::Extent extent) const noexcept;
    pages::Extent take(std::size_t bytes, std::size_t align, bool zeroed) noexcept;
    void note(std::size_t more, std::size_t less) noexcept;

    PoolHandle<Pool> pool_;
    ByteSource* source_;
    std::size_t align_;
    std::atomic<std::size_t> given_ = 0;
};

/// A new one, kept by whoever draws on it.
pages::SourceHandle draw_on(Pool& pool, std::size_t most_align = PoolPages::natural_align);

}  // namespace numpool::threads
