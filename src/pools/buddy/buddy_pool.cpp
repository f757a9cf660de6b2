#include "pools/buddy/buddy_pool.hpp"

#include <algorithm>
#include <bit>
#include <new>
#include <string>

#include "base/error.hpp"
#include "base/size.hpp"
#include "base/size_text.hpp"

namespace numpool::pools {
namespace {

unsigned checked_shift(std::size_t min_block) {
    if (min_block < BuddyPool::smallest_block || !is_power_of_two(min_block) ||
        min_block > max_size) {
        throw BadArgument{"min_block is " + std::to_string(min_block) +
                          ": it must be a power of two from " +
                          std::to_string(BuddyPool::smallest_block) + " on, like 64 or 4096"};
    }
    return static_cast<unsigned>(std::countr_zero(min_block));
}

std::uint32_t checked_cells(std::size_t capacity, std::size_t min_block) {
    if (capacity < min_block) {
        throw BadArgument{"capacity is " + std::to_string(capacity) +
                          ", less than one min_block of " + std::to_string(min_block)};
    }
    // A whole number of cells, which a 32-bit number can count.
    const std::size_t cells = capacity / min_block;
    if (cells >= std::size_t{1} << 31) {
        throw BadArgument{"capacity is " + std::to_string(capacity) + ": with a min_block of " +
                          size_to_text(min_block) + " it can be at most " +
                          size_to_text(min_block << 30) + "; take a larger min_block"};
    }
    return static_cast<std::uint32_t>(cells);
}

template <class T>
T* zeroed_array(std::size_t count) {
    auto* const memory = static_cast<T*>(std::calloc(count, sizeof(T)));
    if (memory == nullptr) throw std::bad_alloc{};
    return memory;
}

}  // namespace

BuddyPool::BuddyPool(std::size_t capacity, std::size_t min_block, pages::PageSource& source)
    : source_{source},
      cell_shift_{checked_shift(min_block)},
      cells_{checked_cells(capacity, min_block)} {
    // So blocks of a page or more lie on whole pages.
    pages_ =
        source_.map(this->capacity(),
                    this->capacity() < pages::page_size() ? std::size_t{64} : pages::page_size());
    if (!pages_) {
        throw Exhausted{"the system refused " + size_to_text(this->capacity()) +
                        " for a buddy pool" + source_.refusal_clause()};
    }
    try {
        // After the pages, so that no records are made if the source refuses the pages.
        states_.reset(zeroed_array<std::uint8_t>(cells_));
        links_.reset(zeroed_array<Link>(cells_));
    } catch (const std::bad_alloc&) {
        source_.unmap(pages_);
        throw;
    }
    make_first_blocks();
}

BuddyPool::~BuddyPool() {
    source_.unmap(pages_);
}

/// The largest aligned blocks that fit, from the front: one for each 1 bit of the capacity.
void BuddyPool::make_first_blocks() noexcept {
    largest_order_ = static_cast<unsigned>(std::bit_width(cells_) - 1);
    for (std::uint32_t cell = 0; cell < cells_;) {
        const auto order = static_cast<unsigned>(std::bit_width(cells_ - cell) - 1);
        link(cell, order, false);
        cell += cells_of(order);
    }
}

unsigned BuddyPool::order_for(std::size_t bytes) const noexcept {
    const std::size_t cells = (std::max<std::size_t>(bytes, 1) + min_block() - 1) >> cell_shift_;
    return static_cast<unsigned>(std::bit_width(cells - 1));
}

void BuddyPool::link(std::uint32_t cell, unsigned order, bool dirty) noexcept {
    List& list = free_[order];
    states_[cell] =
        static_cast<std::uint8_t>(State::head | State::free | order | (dirty ? State::dirty : 0));
    links_[cell].list = {no_cell, list.first};
    if (list.first != no_cell) links_[list.first].list.previous = cell;
    list.first = cell;
    ++list.count;
    free_orders_ |= std::uint32_t{1} << order;
    if (dirty) dirty_bytes_ += bytes_of(order);
}

bool BuddyPool::unlink(std::uint32_t cell, unsigned order) noexcept {
    List& list = free_[order];
    const auto link = links_[cell].list;
    if (link.previous != no_cell) {
        links_[link.previous].list.next = link.next;
    } else {
        list.first = link.next;
    }
    if (link.next != no_cell) links_[link.next].list.previous = link.previous;
    if (--list.count == 0) free_orders_ &= ~(std::uint32_t{1} << order);
    const bool dirty = (states_[cell] & State::dirty) != 0;
    if (dirty) dirty_bytes_ -= bytes_of(order);
    states_[cell] = 0;
    return dirty;
}

void BuddyPool::note_live(std::uint32_t cell, unsigned order, std::size_t bytes) noexcept {
    states_[cell] = static_cast<std::uint8_t>(State::head | order);
    links_[cell].requested = bytes;
    ++live_[order].blocks;
    live_[order].requested += bytes;
    ++blocks_;
    in_use_ += bytes_of(order);
    requested_ += bytes;
}

void BuddyPool::forget_live(std::uint32_t cell, unsigned order) noexcept {
    const std::size_t bytes = links_[cell].requested;
    states_[cell] = 0;
    --live_[order].blocks;
    live_[order].requested -= bytes;
    --blocks_;
    in_use_ -= bytes_of(order);
    requested_ -= bytes;
}

/// Splits a block that is in no list down to its front of the order `smaller`. The rears become
/// free.
void BuddyPool::split(std::uint32_t cell, unsigned order, unsigned smaller, bool dirty) noexcept {
    while (order > smaller) {
        --order;
        link(cell + cells_of(order), order, dirty);
    }
}

BuddyPool::Block BuddyPool::acquire(std::size_t bytes) noexcept {
    if (bytes > capacity()) return {};
    const unsigned wanted = order_for(bytes);
    const std::uint32_t large_enough =
        wanted < orders ? free_orders_ & (~std::uint32_t{0} << wanted) : 0;
    if (large_enough == 0) return {};
    const auto order = static_cast<unsigned>(std::countr_zero(large_enough));
    const std::uint32_t cell = free_[order].first;
    const bool dirty = unlink(cell, order);
    split(cell, order, wanted, dirty);
    note_live(cell, wanted, bytes);
    ++live_[wanted].requests;
    live_[wanted].asked += bytes;
    return {address_of(cell), !dirty};
}

std::uint32_t BuddyPool::live_cell(const std::byte* block) const noexcept {
    if (!owns(block)) return no_cell;
    const auto offset = static_cast<std::size_t>(block - pages_.start);
    const auto cell = static_cast<std::uint32_t>(offset >> cell_shift_);
    const bool starts = (offset & (min_block() - 1)) == 0 &&
                        (states_[cell] & (State::head | State::free)) == State::head;
    return starts ? cell : no_cell;
}

bool BuddyPool::release(const std::byte* block) noexcept {
    const std::uint32_t cell = live_cell(block);
    if (cell == no_cell) return false;
    const unsigned order = order_at(cell);
    forget_live(cell, order);
    merge(cell, order, true);
    return true;
}

void BuddyPool::merge(std::uint32_t cell, unsigned order, bool dirty) noexcept {
    for (; order < largest_order_; ++order) {
        const std::uint32_t buddy = cell ^ cells_of(order);
        if (!is_free(buddy, order)) break;
        dirty |= unlink(buddy, order);
        cell = std::min(cell, buddy);
    }
    link(cell, order, dirty);
}

bool BuddyPool::resize(const std::byte* block, std::size_t bytes) noexcept {
    const std::uint32_t cell = live_cell(block);
    if (cell == no_cell || bytes > capacity()) return false;
    const unsigned order = order_at(cell);
    const unsigned wanted = order_for(bytes);
    for (unsigned at = order; at < wanted; ++at) {
        const bool is_front = (cell & cells_of(at)) == 0;
        if (!is_front || !is_free(cell + cells_of(at), at)) return false;
    }
    forget_live(cell, order);
    for (unsigned at = order; at < wanted; ++at) unlink(cell + cells_of(at), at);
    split(cell, order, wanted, true);
    note_live(cell, wanted, bytes);
    return true;
}

std::size_t BuddyPool::block_size(const std::byte* block) const noexcept {
    const std::uint32_t cell = live_cell(block);
    return cell == no_cell ? 0 : bytes_of(order_at(cell));
}

std::size_t BuddyPool::requested(const std::byte* block) const noexcept {
    const std::uint32_t cell = live_cell(block);
    return cell == no_cell ? 0 : links_[cell].requested;
}

bool BuddyPool::owns(const std::byte* address) const noexcept {
    return address >= pages_.start && address < pages_.start + capacity();
}

std::size_t BuddyPool::largest_free() const noexcept {
    return free_orders_ == 0 ? 0
                             : bytes_of(static_cast<unsigned>(std::bit_width(free_orders_) - 1));
}

std::size_t BuddyPool::trim() noexcept {
    std::size_t purged = 0;
    for (unsigned order = 0; order <= largest_order_; ++order) {
        if (bytes_of(order) < pages::page_size()) continue;
        for (std::uint32_t cell = free_[order].first; cell != no_cell;
             cell = links_[cell].list.next) {
            if ((states_[cell] & State::dirty) == 0) continue;
            if (!source_.purge({address_of(cell), bytes_of(order)})) continue;
            states_[cell] = static_cast<std::uint8_t>(states_[cell] & ~State::dirty);
            dirty_bytes_ -= bytes_of(order);
            purged += bytes_of(order);
        }
    }
    return purged;
}

}  // namespace numpool::pools
