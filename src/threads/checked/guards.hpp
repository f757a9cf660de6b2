#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "threads/checked/fault_reports.hpp"
#include "threads/checked/guard_table.hpp"

namespace numpool::threads {

/// Which of a pool's blocks are guarded: on average one of `every`, chosen at random. Three of four
/// lie before a guard, to find what goes past them, and one lies behind a guard.
///
/// The caller has a lock.
class Guards {
  public:
    Guards(std::size_t every, std::string pool);

    /// Whether the next block is to be guarded. Counts it.
    bool take_turn() noexcept;
    /// As GuardTable::add.
    GuardedBlock* add(std::size_t bytes, std::size_t align, SourceLine acquired) noexcept;

  private:
    std::size_t next_distance() noexcept;

    const FaultReports reports_;
    const std::size_t every_;
    const std::string pool_;
    std::uint64_t random_;
    /// Blocks until the next one that is guarded.
    std::size_t distance_;
    std::size_t added_ = 0;
};

}  // namespace numpool::threads
