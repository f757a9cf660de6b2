#pragma once

#include <cstddef>
#include <cstdint>

#include "base/stride.hpp"
#include "pages/source/os_pages.hpp"
#include "pools/handle/handle.hpp"

namespace numpool::pools {

/// Equal blocks that are known by handles; one thread at a time.
///
/// A block's version changes with each use, so a handle that was freed leads nowhere, even if the
/// block is live again. A block whose versions are used up retires: a pool that refuses is better
/// than two blocks under one handle. What is known of a block lies beside the blocks, in pages that
/// are touched with its first use; creating a table touches none.
class HandleTable {
  public:
    struct Block {
        std::byte* start = nullptr;
        /// What was asked for.
        std::size_t bytes = 0;

        explicit operator bool() const noexcept { return start != nullptr; }
    };

    /// Every handle will have the number of `first`, and be `first` or greater. Throws BadArgument
    /// where there are more blocks than handles can tell apart, Exhausted where the pages are
    /// refused.
    HandleTable(std::size_t block_size, std::size_t blocks, Handle first,
                pages::PageSource& source);
    HandleTable(const HandleTable&) = delete;
    HandleTable& operator=(const HandleTable&) = delete;
    ~HandleTable();

    /// The handle of an unused block, for at most `block_size()` bytes; 0 where all are in use.
    Handle acquire(std::size_t bytes) noexcept;

    /// The live block of a handle; an empty one where it has none.
    Block find(Handle handle) const noexcept;

    /// `find`, and the block stays until as many `unhold` follow.
    Block hold(Handle handle) noexcept;
    void unhold(const std::byte* start) noexcept;

    /// How often the live block of a handle is held.
    std::size_t holds(Handle handle) const noexcept;

    /// Takes the block back. False, and nothing has changed, where the handle leads to no live
    /// block or the block is held.
    bool free(Handle handle) noexcept;

    /// Whether it gave this handle once.
    bool gave(Handle handle) const noexcept;

    /// Whether the address lies in one of its blocks.
    bool owns(const std::byte* address) const noexcept {
        return address >= blocks_start_ && address < blocks_start_ + blocks_ * stride_.bytes();
    }

    /// Calls `act` with each live handle.
    template <class Act>
    void for_each_live(Act act) const {
        for (std::uint32_t index = 0; index < fresh_; ++index) {
            if (records_[index].next == live) act(handle_of(index));
        }
    }

    /// Gives back the pages that hold no live block; how many bytes is the result.
    std::size_t trim() noexcept;

    /// Throws Corrupted where the records contradict each other.
    void check() const;

    Handle number() const noexcept { return number_of(first_); }
    /// Greater than every handle that it gave.
    Handle beyond() const noexcept;
    std::size_t block_size() const noexcept { return block_size_; }
    std::size_t stride() const noexcept { return stride_.bytes(); }
    /// How many blocks there are, but for those that retired.
    std::size_t blocks() const noexcept { return blocks_ - retired_; }
    std::size_t retired() const noexcept { return retired_; }
    std::size_t live_blocks() const noexcept { return live_; }
    std::size_t requested() const noexcept { return requested_; }
    std::size_t requests() const noexcept { return requests_; }
    /// The bytes of all requests.
    std::size_t asked() const noexcept { return asked_; }
    /// Of the requests, those that got a block used before.
    std::size_t hits() const noexcept { return hits_; }
    /// Blocks that may hold pages.
    std::size_t warm_blocks() const noexcept { return fresh_ - cold_; }
    std::size_t mapped() const noexcept { return pages_.bytes; }

  private:
    struct Record {
        /// Of the last handle it had; 0 before the first.
        std::uint64_t version;
        /// What was asked for. Of a block that is not live: whether its pages may hold anything.
        std::uint64_t bytes;
        std::uint32_t holds;
        /// The next in the free list, or what else has become of the block.
        std::uint32_t next;
    };

    static constexpr std::uint32_t live = ~std::uint32_t{0};
    static constexpr std::uint32_t gone = live - 1;  // Retired.
    static constexpr std::uint32_t none = live - 2;  // The free list's end.

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
    pages::PageSource& source_;
    pages::Extent pages_;
    Record* records_;
    std::byte* blocks_start_;
    std::uint32_t free_ = none;
    /// Blocks from here on were never used.
    std::uint32_t fresh_ = 0;
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
