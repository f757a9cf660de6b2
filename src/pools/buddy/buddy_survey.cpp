// A buddy pool's `check`.
#include <array>
#include <string>

#include "base/error.hpp"
#include "pools/buddy/buddy_pool.hpp"

namespace numpool::pools {

[[gnu::cold]] void BuddyPool::check() const {
    std::array<List, orders> free{};
    std::array<Live, orders> live{};
    std::size_t dirty = 0;
    for (std::uint32_t cell = 0; cell < cells_;) {
        const std::uint8_t state = states_[cell];
        const unsigned order = order_at(cell);
        const std::string here = "cell " + std::to_string(cell);
        if ((state & State::head) == 0) throw Corrupted{here + " begins no block"};
        if ((cell & (cells_of(order) - 1)) != 0 || cells_ - cell < cells_of(order))
            throw Corrupted{here + " begins a block of an order that cannot begin there"};
        if ((state & State::free) != 0) {
            ++free[order].count;
            if ((state & State::dirty) != 0) dirty += bytes_of(order);
            if (order < largest_order_ && is_free(cell ^ cells_of(order), order))
                throw Corrupted{here + " begins a free block that was not merged with its buddy"};
        } else {
            ++live[order].blocks;
            live[order].requested += links_[cell].requested;
        }
        for (std::uint32_t inside = 1; inside < cells_of(order); ++inside) {
            if (states_[cell + inside] != 0)
                throw Corrupted{here + " begins a block with other blocks inside"};
        }
        cell += cells_of(order);
    }
    Live total;
    std::size_t in_use = 0;
    for (unsigned order = 0; order < orders; ++order) {
        std::size_t listed = 0;
        std::uint32_t previous = no_cell;
        for (std::uint32_t cell = free_[order].first; cell != no_cell;
             cell = links_[cell].list.next) {
            if (!is_free(cell, order) || links_[cell].list.previous != previous ||
                ++listed > free_[order].count) {
                throw Corrupted{"a list of free blocks is broken"};
            }
            previous = cell;
        }
        if (listed != free_[order].count || listed != free[order].count ||
            (listed != 0) != ((free_orders_ >> order & 1) != 0)) {
            throw Corrupted{"the number of free blocks of an order is wrong"};
        }
        if (live[order].blocks != live_[order].blocks ||
            live[order].requested != live_[order].requested) {
            throw Corrupted{"the number of live blocks of an order is wrong"};
        }
        total.blocks += live[order].blocks;
        total.requested += live[order].requested;
        in_use += live[order].blocks * bytes_of(order);
    }
    if (total.blocks != blocks_ || total.requested != requested_ || in_use != in_use_ ||
        dirty != dirty_bytes_) {
        throw Corrupted{"the counts of blocks are wrong"};
    }
}

}  // namespace numpool::pools
