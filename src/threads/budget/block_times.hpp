#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>

#include "base/clock.hpp"
#include "base/size_classes.hpp"

namespace numpool::threads {

/// When large blocks were acquired, by their address. Some are forgotten: each address has one
/// place in a table, and the last block that needs the place has it. A release costs nothing, so a
/// time is only valid for a block that is live.
///
/// Any thread may call. The table is made for the first block.
class BlockTimes {
  public:
    BlockTimes() = default;
    BlockTimes(const BlockTimes&) = delete;
    BlockTimes& operator=(const BlockTimes&) = delete;
    ~BlockTimes() { delete table_.load(std::memory_order_relaxed); }

    /// Notes the time where the block is large.
    void note(const void* block, std::size_t bytes) noexcept {
        if (bytes > SizeClasses::largest) note_large(block);
    }

    /// The age in milliseconds of a live block; nothing where that is not known.
    std::optional<std::uint64_t> age(const void* block) const noexcept {
        const Table* const table = table_.load(std::memory_order_acquire);
        if (table == nullptr) return std::nullopt;
        const Entry& entry = (*table)[place_of(block)];
        const std::uint64_t time = entry.time.load(std::memory_order_relaxed);
        if (entry.block.load(std::memory_order_acquire) != block) return std::nullopt;
        const std::uint64_t now = coarse_milliseconds();
        return now > time ? now - time : 0;
    }

  private:
    struct Entry {
        std::atomic<const void*> block = nullptr;
        std::atomic<std::uint64_t> time = 0;
    };
    static constexpr unsigned bits = 8;
    using Table = std::array<Entry, std::size_t{1} << bits>;

    /// Large blocks begin in different pages. Fibonacci hashing spreads equal distances.
    static std::size_t place_of(const void* block) noexcept {
        const std::uint64_t page = reinterpret_cast<std::uintptr_t>(block) >> 12;
        return (page * 0x9e3779b97f4a7c15U) >> (64 - bits);
    }

    void note_large(const void* block) noexcept {
        Table* table = table_.load(std::memory_order_acquire);
        if (table == nullptr) [[unlikely]] {
            table = make_table();
            if (table == nullptr) return;
        }
        Entry& entry = (*table)[place_of(block)];
        entry.time.store(coarse_milliseconds(), std::memory_order_relaxed);
        entry.block.store(block, std::memory_order_release);
    }

    [[gnu::cold]] Table* make_table() noexcept {
        std::unique_ptr<Table> made{new (std::nothrow) Table};
        Table* known = nullptr;
        if (table_.compare_exchange_strong(known, made.get(), std::memory_order_acq_rel))
            return made.release();
        return known;
    }

    std::atomic<Table*> table_ = nullptr;
};

}  // namespace numpool::threads
