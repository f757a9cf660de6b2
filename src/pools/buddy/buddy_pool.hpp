#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "pages/source/os_pages.hpp"

namespace numpool::pools {

/// Blocks of powers of two that are split in half on demand and merge with their buddies again; one
/// thread at a time. Acquiring, releasing and resizing take time proportional to the number of
/// orders, at most 32.
///
/// The pool is an array of cells, which are the smallest blocks. A block of order k has 2^k cells
/// and starts at a multiple of 2^k. So one XOR finds its buddy, the other half of the block that
/// both were split from. The records of blocks lie outside of the blocks, indexed by their first
/// cells, so no write of a user reaches them. A capacity that is no power of two is a row of the
/// largest blocks that fit.
class BuddyPool {
  public:
    static constexpr unsigned orders = 32;
    static constexpr std::size_t smallest_block = 16;

    /// Throws BadArgument if the arguments are invalid, Exhausted if the pages are refused,
    /// std::bad_alloc if the records are. Then nothing stays mapped.
    BuddyPool(std::size_t capacity, std::size_t min_block,
              pages::PageSource& source = pages::os_pages());
    BuddyPool(const BuddyPool&) = delete;
    BuddyPool& operator=(const BuddyPool&) = delete;
    ~BuddyPool();

    struct Block {
        std::byte* start = nullptr;
        /// It reads as zero: it was not used since its pages came.
        bool zero = false;
    };

    /// The smallest block that holds `bytes`; an empty one if no free block is large enough.
    Block acquire(std::size_t bytes) noexcept;

    /// Takes a block back and merges it with free buddies. False, and nothing has changed, if no
    /// live block starts at the address.
    bool release(const std::byte* block) noexcept;

    /// Resizes a live block in place to the smallest size that holds `bytes`: it merges with free
    /// buddies behind it, or its rear is split off. False, and nothing has changed, if a buddy is
    /// in use.
    bool resize(const std::byte* block, std::size_t bytes) noexcept;

    /// The size of the live block that starts at this address; 0 if none does.
    std::size_t block_size(const std::byte* block) const noexcept;
    /// The bytes requested for that block.
    std::size_t requested(const std::byte* block) const noexcept;
    bool owns(const std::byte* address) const noexcept;

    /// Purges the free blocks. Returns their bytes.
    std::size_t trim() noexcept;

    /// Throws Corrupted if the records contradict each other.
    void check() const;

    std::size_t capacity() const noexcept { return std::size_t{cells_} << cell_shift_; }
    std::size_t min_block() const noexcept { return std::size_t{1} << cell_shift_; }
    std::size_t mapped() const noexcept { return pages_.bytes; }
    /// The bytes of blocks that may have pages.
    std::size_t committed() const noexcept { return in_use_ + dirty_bytes_; }
    std::size_t blocks() const noexcept { return blocks_; }
    std::size_t in_use() const noexcept { return in_use_; }
    std::size_t total_requested() const noexcept { return requested_; }
    std::size_t free_bytes() const noexcept { return capacity() - in_use_; }
    /// The number of free blocks of an order, which have `min_block() << order` bytes each.
    std::size_t free_blocks(unsigned order) const noexcept { return free_[order].count; }
    std::size_t live_blocks(unsigned order) const noexcept { return live_[order].blocks; }
    std::size_t live_requested(unsigned order) const noexcept { return live_[order].requested; }
    /// How many blocks of the order were acquired so far, and how many bytes were requested for
    /// them.
    std::size_t requests(unsigned order) const noexcept { return live_[order].requests; }
    std::size_t asked(unsigned order) const noexcept { return live_[order].asked; }
    unsigned largest_order() const noexcept { return largest_order_; }
    /// The size of the largest free block; 0 if there is none.
    std::size_t largest_free() const noexcept;

  private:
    static constexpr std::uint32_t no_cell = ~std::uint32_t{0};

    /// The bits of a block's first cell: the order, and flags. All other cells are 0. A `dirty`
    /// free block may have pages that are not zero.
    struct State {
        static constexpr std::uint8_t head = 0x80;
        static constexpr std::uint8_t free = 0x40;
        static constexpr std::uint8_t dirty = 0x20;
        static constexpr std::uint8_t order = 0x1f;
    };
    /// Of a free block: its neighbours in the list of its order. Of a live one: its requested
    /// bytes.
    union Link {
        struct {
            std::uint32_t previous;
            std::uint32_t next;
        } list;
        std::uint64_t requested;
    };
    struct List {
        std::uint32_t first = no_cell;
        std::size_t count = 0;
    };
    struct Live {
        std::size_t blocks = 0;
        std::size_t requested = 0;
        /// So far: the number of requests, and their bytes.
        std::size_t requests = 0;
        std::size_t asked = 0;
    };
    struct Free {
        void operator()(void* memory) const noexcept { std::free(memory); }
    };

    static constexpr std::uint32_t cells_of(unsigned order) noexcept {
        return std::uint32_t{1} << order;
    }
    std::size_t bytes_of(unsigned order) const noexcept { return min_block() << order; }
    std::byte* address_of(std::uint32_t cell) const noexcept {
        return pages_.start + (std::size_t{cell} << cell_shift_);
    }
    /// The first cell of the live block that starts here; `no_cell` if there is none.
    std::uint32_t live_cell(const std::byte* block) const noexcept;
    unsigned order_for(std::size_t bytes) const noexcept;
    unsigned order_at(std::uint32_t cell) const noexcept { return states_[cell] & State::order; }
    bool is_free(std::uint32_t cell, unsigned order) const noexcept {
        return cell < cells_ &&
               (states_[cell] & ~State::dirty) == (State::head | State::free | order);
    }

    /// Adds a free block to the list of its order.
    void link(std::uint32_t cell, unsigned order, bool dirty) noexcept;
    /// Removes a free block from its list. Returns whether it is dirty.
    bool unlink(std::uint32_t cell, unsigned order) noexcept;
    void merge(std::uint32_t cell, unsigned order, bool dirty) noexcept;
    void split(std::uint32_t cell, unsigned order, unsigned smaller, bool dirty) noexcept;
    void note_live(std::uint32_t cell, unsigned order, std::size_t bytes) noexcept;
    void forget_live(std::uint32_t cell, unsigned order) noexcept;
    void make_first_blocks() noexcept;

    pages::PageSource& source_;
    unsigned cell_shift_;
    std::uint32_t cells_;
    unsigned largest_order_ = 0;
    pages::Extent pages_;
    /// From calloc, so they use no memory before their cells are used.
    std::unique_ptr<std::uint8_t[], Free> states_;
    std::unique_ptr<Link[], Free> links_;
    std::array<List, orders> free_{};
    /// One bit for each order that has free blocks.
    std::uint32_t free_orders_ = 0;
    std::array<Live, orders> live_{};
    std::size_t blocks_ = 0;
    std::size_t in_use_ = 0;
    std::size_t requested_ = 0;
    /// The bytes of free dirty blocks.
    std::size_t dirty_bytes_ = 0;
};

}  // namespace numpool::pools
