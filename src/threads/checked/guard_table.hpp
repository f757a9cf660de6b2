#pragma once

#include <array>
#include <atomic>
#include <cstddef>

#include "pages/source/page_source.hpp"
#include "threads/checked/checked_pools.hpp"

namespace numpool::threads {

/// A block that lies between guards: pages that nobody can access.
///
/// Signal handlers read it at any moment, so it consists of plain and atomic values. The plain ones
/// are written while no address leads to it: before `open` and after `end`.
class GuardedBlock {
  public:
    std::byte* start() const noexcept { return start_; }
    std::size_t bytes() const noexcept { return bytes_; }
    pages::Extent extent() const noexcept { return extent_; }
    /// The title of the pool, perhaps shortened.
    const char* pool() const noexcept { return pool_.data(); }
    SourceLine acquired() const noexcept { return acquired_; }
    SourceLine released() const noexcept { return released_.load(std::memory_order_relaxed); }
    bool is_shut() const noexcept { return shut_.load(std::memory_order_acquire); }

    /// After its release: nobody can access it any more. False where the system refuses that.
    bool shut(SourceLine released) noexcept;
    /// Unmaps it; afterwards it may become another block.
    void end() noexcept;

  private:
    friend class GuardTable;

    void open(pages::Extent extent, std::byte* start, std::size_t bytes, const char* pool,
              SourceLine acquired) noexcept;

    /// Whether it is some block, or is becoming one.
    std::atomic<bool> taken_ = false;
    /// Whether addresses may lead to it.
    std::atomic<bool> known_ = false;
    std::atomic<bool> shut_ = false;
    std::byte* start_ = nullptr;
    std::size_t bytes_ = 0;
    pages::Extent extent_;
    std::array<char, 96> pool_{};
    SourceLine acquired_ = nullptr;
    std::atomic<SourceLine> released_ = nullptr;
};

/// All guarded blocks of the process.
class GuardTable {
  public:
    static constexpr std::size_t most_blocks = 512;
    /// ... of all live ones together, besides the rest of their pages.
    static constexpr std::size_t most_bytes = std::size_t{64} << 20;

    /// Where a block lies between its guards, as far as its alignment permits.
    enum class Place { at_the_end, at_the_start };

    /// It is never destroyed: pools come and go while the process exits.
    static GuardTable& instance();

    /// Null where there are too many, or where the system refuses the pages. `bytes` is not 0, and
    /// `align` is at most the size of a page.
    GuardedBlock* add(std::size_t bytes, std::size_t align, Place place, const char* pool,
                      SourceLine acquired) noexcept;

    /// Whose extent or guards have this address; null where no block's do. For signal handlers,
    /// too.
    const GuardedBlock* find(const void* address) const noexcept;

  private:
    friend class GuardedBlock;

    std::array<GuardedBlock, most_blocks> blocks_;
    std::atomic<std::size_t> live_bytes_ = 0;
};

}  // namespace numpool::threads
