#pragma once

#include <cstddef>
#include <cstdint>

#include "base/stride.hpp"
#include "pages/source/os_pages.hpp"
#include "pools/handle/handle.hpp"

namespace numpool::pools {

/// Equal blocks that users know by handles; one thread at a time.
///
/// A block's version changes at each use. So a handle that was freed is stale, even if the block is
/// live again. A block whose versions are used up retires: it is not used again, because two blocks
/// must never share a handle. The records lie outside of the blocks, in pages that are touched at
/// the first use of a block; creating a table touches no page.
class HandleTable {
  public:
    struct Block {
        std::byte* start = nullptr;
        /// The bytes that were requested.
        std::size_t bytes = 0;

        explicit operator bool() const noexcept { return start != nullptr; }
    };

    /// All handles have the number of `first` and are not below `first`. Throws BadArgument if
    /// there are more blocks than handles can tell apart, Exhausted if the pages are refused.
    HandleTable(std::size_t block_size, std::size_t blocks, Handle first,
                pages::PageSource& source);
    HandleTable(const HandleTable&) = delete;
    HandleTable& operator=(const HandleTable&) = delete;
    ~HandleTable();

    /// A new handle, for at most `block_size()` bytes; 0 if all blocks are in use.
    Handle acquire(std::size_t bytes) noexcept;

    /// The live block of a handle; an empty one if it has none.
    Block find(Handle handle) const noexcept;

    /// Like `find`, and holds the block: it cannot be freed before `unhold` is called as often.
    Block hold(Handle handle) noexcept;
    void unhold(const std::byte* start) noexcept;

    /// How often the live block of a handle is held.
    std::size_t holds(Handle handle) const noexcept;

    /// Takes the block back. False, and nothing has changed, if the handle has no live block or the
    /// block is held.
    bool free(Handle handle) noexcept;

    /// Whether `acquire` has ever returned this handle.
    bool issued(Handle handle) const noexcept;

    /// Whether the address lies in one of its blocks.
    bool owns(const std::byte* address) const noexcept {
        return address >= blocks_start_ && address < blocks_start_ + blocks_ * stride_.bytes();
    }

    /// Calls `act` with each live handle.
    template <class Act>
    void for_each_live(Act act) const {
        for (std::uint32_t index = 0; index < ever_used_; ++index) {
            if (records_[index].next == live) act(handle_of(index));
        }
    }

    /// Purges the pages that have no live block. Returns how many bytes.
    std::size_t trim() noexcept;

    /// Throws Corrupted if the records contradict each other.
    void check() const;

    Handle number() const noexcept { return number_of(first_); }
    /// A handle above all that it has issued.
    Handle beyond() const noexcept;
    std::size_t block_size() const noexcept { return block_size_; }
    std::size_t stride() const noexcept { return stride_.bytes(); }
    /// The number of blocks that have not retired.
    std::size_t blocks() const noexcept { return blocks_ - retired_; }
    std::size_t retired() const noexcept { return retired_; }
    std::size_t live_blocks() const noexcept { return live_; }
    std::size_t requested() const noexcept { return requested_; }
    std::size_t requests() const noexcept { return requests_; }
    /// The bytes of all requests.
    std::size_t asked() const noexcept { return asked_; }
    /// The requests that got a block which was used before.
    std::size_t hits() const noexcept { return hits_; }
    /// The number of blocks that may have pages.
    std::size_t warm_blocks() const noexcept { return ever_used_ - cold_; }
    std::size_t mapped() const noexcept { return pages_.bytes; }

  private:
    struct Record {
        /// The version of its last handle; 0 before the first.
        std::uint64_t version;
        /// Of a live block: its requested bytes. Of another one: 0 if its pages were purged.
        std::uint64_t bytes;
        std::uint32_t holds;
        /// The next block in the free list, or one of the three values below.
        std::uint32_t next;
    };

    static constexpr std::uint32_t live = ~std::uint32_t{0};
    static constexpr std::uint32_t gone = live - 1;  // It has retired.
    static constexpr std::uint32_t none = live - 2;  // The end of the free list.

    Record* record_of(Handle handle) const noexcept;
    Handle handle_of(std::uint32_t index) const noexcept;
    std::byte* address_of(std::size_t index) const noexcept {
        return blocks_start_ + index * stride_.bytes();
    }
    std::size_t purge(std::uint32_t begin, std::uint32_t end) noexcept;

    const Handle first_;
    const int index_bits_;
    const std::size_t block_size_;
    const Stride stride_;
    const std::size_t blocks_;
    /// What the records and the blocks come from.
    pages::PageSource& source_;
    pages::Extent pages_;
    Record* records_;
    std::byte* blocks_start_;
    std::uint32_t free_ = none;
    /// The number of blocks that were ever used: those from this index on are fresh.
    std::uint32_t ever_used_ = 0;
    std::uint64_t first_version_;
    std::uint64_t newest_version_ = 0;

    std::size_t live_ = 0;
    std::size_t retired_ = 0;
    std::size_t cold_ = 0;
    std::size_t requested_ = 0;
    std::size_t requests_ = 0;
    std::size_t asked_ = 0;
    std::size_t hits_ = 0;
};

}  // namespace numpool::pools
