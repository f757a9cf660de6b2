#pragma once

#include <cstddef>
#include <map>
#include <mutex>

#include "pages/range/page_map.hpp"

namespace numpool::pages {

/// Addresses that are reserved once and allocated in granules. They are inaccessible until a page
/// source makes them usable. All slab pools share one range, so one flat map covers their
/// addresses. Threads may share it.
class AddressRange {
  public:
    /// The bytes to reserve if nothing limits them. Ample, because moving pages uses up addresses
    /// faster than pages.
    static std::size_t ample() noexcept;
    static constexpr std::size_t least = std::size_t{64} << 20;

    /// Reserves `most` bytes, and what the map needs in front of them. If that is refused
    /// (RLIMIT_AS, strict overcommit), it tries smaller powers of two, down to `least`. Throws
    /// Exhausted.
    explicit AddressRange(PageMap& map, std::size_t most = ample());
    AddressRange(const AddressRange&) = delete;
    AddressRange& operator=(const AddressRange&) = delete;
    ~AddressRange();

    /// Inaccessible addresses at a multiple of `align`, `bytes` rounded up to granules; empty if
    /// the range is used up.
    Extent allocate(std::size_t bytes, std::size_t align) noexcept;

    /// Allocates the addresses right behind an allocated extent, too. False if they are in use.
    bool extend(Extent extent, std::size_t bytes) noexcept;

    /// Takes addresses back, which must be inaccessible again, and clears their page map entries.
    void release(Extent extent) noexcept;

    Extent extent() const noexcept { return range_; }

    /// The lock. It is held around a fork, so that the child finds a consistent range.
    std::mutex& mutex() const noexcept { return mutex_; }

  private:
    std::byte* carve(std::byte* start, std::byte* end, std::size_t bytes,
                     std::size_t align) noexcept;

    PageMap& map_;
    Extent range_;
    mutable std::mutex mutex_;
    /// No address from here on was ever allocated.
    std::byte* unused_ = nullptr;
    /// Free runs below `unused_`, by their starts: their ends. Neighbours are merged.
    std::map<std::byte*, std::byte*> free_;
};

/// The process's range, whose map is `page_map`. It is reserved at the first call and never
/// unmapped, because blocks are freed while the process exits. Throws Exhausted; the next call then
/// tries again.
AddressRange& address_range();

}  // namespace numpool::pages
