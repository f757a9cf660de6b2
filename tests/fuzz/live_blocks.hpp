#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "fuzzing.hpp"

namespace fuzz {

/// The model of a pool: the blocks that are live, none of which may overlap another, each with a
/// pattern that is verified before the block ends.
class LiveBlocks {
  public:
    struct Block {
        std::byte* start = nullptr;
        std::size_t bytes = 0;
        std::byte pattern{};
        /// The target's own.
        std::uint64_t note = 0;
    };

    bool empty() const noexcept { return blocks_.empty(); }
    std::size_t count() const noexcept { return blocks_.size(); }
    std::size_t bytes() const noexcept { return bytes_; }
    Block& operator[](std::size_t index) noexcept { return blocks_[index]; }
    auto begin() const noexcept { return blocks_.begin(); }
    auto end() const noexcept { return blocks_.end(); }

    std::size_t any(Input& input) const noexcept { return input.below(blocks_.size()); }

    /// Takes a new block in and fills it. One of no bytes still has an address of its own.
    void add(std::byte* start, std::size_t bytes, std::uint64_t note = 0) {
        const auto next = ends_.upper_bound(start);
        REQUIRE(next == ends_.end() || next->second >= start + std::max<std::size_t>(bytes, 1));
        ends_[start + std::max<std::size_t>(bytes, 1)] = start;
        blocks_.push_back({start, bytes, static_cast<std::byte>(++made_), note});
        bytes_ += bytes;
        fill(blocks_.back());
    }

    void verify(std::size_t index) const { verify(blocks_[index], blocks_[index].bytes); }
    void verify_all() const {
        for (const Block& block : blocks_) verify(block, block.bytes);
    }

    /// Verifies a block and forgets it; the order of the others stays.
    Block remove(std::size_t index) {
        verify(index);
        return forget(index);
    }

    /// Requires that `start` holds what the block held, as far as both reach, and takes it for the
    /// block.
    void replace(std::size_t index, std::byte* start, std::size_t bytes) {
        const Block old = forget(index);
        verify({start, old.bytes, old.pattern, 0}, std::min(bytes, old.bytes));
        add(start, bytes, old.note);
    }

    static void require_zero(const std::byte* start, std::size_t bytes) {
        for_each_place(bytes, [start](std::size_t i) { REQUIRE(start[i] == std::byte{0}); });
        for (std::size_t i = 1; i <= tail && i <= bytes; ++i)
            REQUIRE(start[bytes - i] == std::byte{0});
    }

    /// Forgets a block whose bytes may be anything now; the order of the others stays.
    Block forget(std::size_t index) {
        const Block block = blocks_[index];
        ends_.erase(block.start + std::max<std::size_t>(block.bytes, 1));
        blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(index));
        bytes_ -= block.bytes;
        return block;
    }

    /// Puts the last block at this place, in front of the one that is there.
    void put_last_at(std::size_t index) {
        const auto place = blocks_.begin() + static_cast<std::ptrdiff_t>(index);
        std::rotate(place, blocks_.end() - 1, blocks_.end());
    }

  private:
    static constexpr std::size_t front = 128;
    static constexpr std::size_t step = 1021;
    static constexpr std::size_t tail = 64;

    /// Not all bytes of a large block: its front, and a byte now and then.
    template <class Visit>
    static void for_each_place(std::size_t bytes, Visit visit) {
        for (std::size_t i = 0; i < bytes; i += i < front ? 1 : step) visit(i);
    }
    static void fill(const Block& block) {
        for_each_place(block.bytes, [&](std::size_t i) { block.start[i] = block.pattern; });
        const std::size_t end = std::min(block.bytes, tail);
        if (end != 0)
            std::memset(block.start + block.bytes - end, static_cast<int>(block.pattern), end);
    }
    static void verify(const Block& block, std::size_t kept) {
        for_each_place(kept, [&](std::size_t i) { REQUIRE(block.start[i] == block.pattern); });
        for (std::size_t i = 1; kept == block.bytes && i <= tail && i <= kept; ++i)
            REQUIRE(block.start[kept - i] == block.pattern);
    }
    std::vector<Block> blocks_;
    /// Starts by ends.
    std::map<std::byte*, std::byte*> ends_;
    std::size_t bytes_ = 0;
    std::uint8_t made_ = 0;
};

}  // namespace fuzz
