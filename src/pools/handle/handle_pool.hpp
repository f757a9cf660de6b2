#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "pools/handle/handle_table.hpp"

namespace numpool::pools {

/// Blocks of several sizes that users know by handles; one thread at a time. A request gets a block
/// of the smallest size that fits and has an unused block.
class HandlePool {
  public:
    using Block = HandleTable::Block;

    /// The blocks of one size. Their handles are not below `first`.
    struct Size {
        std::size_t block_size = 0;
        std::size_t blocks = 0;
        Handle first = 0;
    };

    /// No two sizes may have the same number in `first`. Throws BadArgument if there is no size, or
    /// one twice, and what HandleTable throws.
    explicit HandlePool(std::vector<Size> sizes, pages::PageSource& source = pages::os_pages());

    /// A new handle; 0 if no block that is large enough is unused.
    Handle acquire(std::size_t bytes) noexcept;

    // Like those of HandleTable.
    Block find(Handle handle) const noexcept;
    Block hold(Handle handle) noexcept;
    void unhold(const std::byte* start) noexcept;
    std::size_t holds(Handle handle) const noexcept;
    bool free(Handle handle) noexcept;
    bool issued(Handle handle) const noexcept;
    bool owns(const std::byte* address) const noexcept;
    std::size_t trim() noexcept;
    void check() const;

    /// The bytes of live blocks, as rounded.
    std::size_t in_use() const noexcept { return in_use_; }
    std::size_t live_blocks() const noexcept;
    /// The bytes of blocks that may have pages, and their peak.
    std::size_t committed() const noexcept { return committed_; }
    std::size_t peak_committed() const noexcept { return peak_committed_; }
    void reset_peak_committed() noexcept { peak_committed_ = committed_; }
    /// From the smallest size to the largest.
    const std::deque<HandleTable>& tables() const noexcept { return tables_; }

  private:
    const HandleTable* table_of(Handle handle) const noexcept;
    HandleTable* table_of(Handle handle) noexcept {
        return const_cast<HandleTable*>(static_cast<const HandlePool*>(this)->table_of(handle));
    }

    std::deque<HandleTable> tables_;
    std::size_t in_use_ = 0;
    std::size_t committed_ = 0;
    std::size_t peak_committed_ = 0;
};

}  // namespace numpool::pools
