#include "threads/checked/guards.hpp"

#include <chrono>
#include <utility>

namespace numpool::threads {

Guards::Guards(std::size_t every, std::string pool)
    : every_{every},
      pool_{std::move(pool)},
      random_{
          static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()) |
          1U},
      distance_{next_distance()} {}

/// On average `every_`.
std::size_t Guards::next_distance() noexcept {
    // Marsaglia's xorshift.
    random_ ^= random_ << 13U;
    random_ ^= random_ >> 7U;
    random_ ^= random_ << 17U;
    return 1 + random_ % (2 * every_ - 1);
}

bool Guards::take_turn() noexcept {
    if (--distance_ != 0) return false;
    distance_ = next_distance();
    return true;
}

GuardedBlock* Guards::add(std::size_t bytes, std::size_t align, SourceLine acquired) noexcept {
    constexpr std::size_t period = 4;
    const auto place = added_ % period == period - 1 ? GuardTable::Place::at_the_start
                                                     : GuardTable::Place::at_the_end;
    GuardedBlock* const block =
        GuardTable::instance().add(bytes, align, place, pool_.c_str(), acquired);
    if (block != nullptr) ++added_;
    return block;
}

}  // namespace numpool::threads
