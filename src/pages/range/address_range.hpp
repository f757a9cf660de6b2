#pragma once

#include <cstddef>
#include <map>
#include <mutex>

#include "pages/range/page_map.hpp"

namespace numpool::pages {

/// Addresses, reserved once and dealt out in granules; none of them is usable before a page
/// source makes it so. All pools share one range, so one flat map tells what an address is.
/// Threads may share it.
class AddressRange {
  public:
    /// What is taken from the system where nothing is in the way: plenty, since addresses that
    /// moved pages leave behind are used up faster than pages.
    static std::size_t ample() noexcept;
    static constexpr std::size_t least = std::size_t{64} << 20;

    /// Reserves `most` bytes, and what the map needs in front of them, or, where that is refused
    /// (RLIMIT_AS, strict overcommit), the largest power of two from there down to `least` that is
    /// not. Throws Exhausted.
    explicit AddressRange(PageMap& map, std::size_t most = ample());
    AddressRange(const AddressRange&) = delete;
    AddressRange& operator=(const AddressRange&) = delete;
    ~AddressRange();

    /// Addresses at a multiple of `align`, `bytes` rounded up to granules; empty where the range
    /// is used up. They are inaccessible.
    Extent take(std::size_t bytes, std::size_t align) noexcept;

    /// The addresses right behind an extent that `take` gave. False where they are in use.
    bool take_behind(Extent extent, std::size_t bytes) noexcept;

    /// Takes addresses back, inaccessible again and unmarked.
    void give_back(Extent extent) noexcept;

    bool contains(const void* address) const noexcept;
    Extent extent() const noexcept { return range_; }
    /// Addresses that are dealt out.
    std::size_t taken() const noexcept;

    /// For fork: the lock, held around it, so that the child finds the range in order.
    std::mutex& mutex() const noexcept { return mutex_; }

  private:
    std::byte* carve(std::byte* start, std::byte* end, std::size_t bytes,
                     std::size_t align) noexcept;

    PageMap& map_;
    Extent range_;
    mutable std::mutex mutex_;
    /// Nothing from here on was ever taken.
    std::byte* unused_ = nullptr;
    /// Runs below it that came back: start to end. Neighbours are merged.
    std::map<std::byte*, std::byte*> returned_;
    std::size_t taken_ = 0;
};

/// The process's range, whose map is `page_map`. Reserved at the first call and never given up:
/// blocks are freed while the process exits. Throws Exhausted, and tries again at the next call.
AddressRange& address_range();

}  // namespace numpool::pages
