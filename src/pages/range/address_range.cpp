#include "pages/range/address_range.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <new>
#include <string>

#include "base/error.hpp"
#include "base/size.hpp"
#include "pages/system/memory_limit.hpp"

namespace numpool::pages {
namespace {

/// With PROT_NONE these are addresses only: the kernel does not count them as memory.
constexpr int reserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

std::byte* reserve(std::size_t bytes) noexcept {
    // mmap aligns to a page only. So this maps one alignment more and unmaps the ends.
    void* const raw = mmap(nullptr, bytes + huge_page, PROT_NONE, reserved, -1, 0);
    if (raw == MAP_FAILED) return nullptr;
    auto* const first = static_cast<std::byte*>(raw);
    auto* const start =
        reinterpret_cast<std::byte*>(round_up(reinterpret_cast<std::uintptr_t>(raw), huge_page));
    const auto before = static_cast<std::size_t>(start - first);
    if (before != 0) munmap(first, before);
    if (before != huge_page) munmap(start + bytes, huge_page - before);
    return start;
}

/// If the process has a limit on addresses, the range takes at most half of it.
std::size_t within_limit(std::size_t most) noexcept {
    rlimit limit{};
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return most;
    return std::min<std::size_t>(most, limit.rlim_cur / 2);
}

}  // namespace

std::size_t AddressRange::ample() noexcept {
#if defined(__SANITIZE_THREAD__)
    // The thread sanitizer has shadow memory for few addresses.
    return std::size_t{64} << 30;
#else
    constexpr std::size_t tebibyte = std::size_t{1} << 40;
    return std::clamp(std::bit_ceil(memory_limit()) * 16, tebibyte, 16 * tebibyte);
#endif
}

AddressRange::AddressRange(PageMap& map, std::size_t most) : map_{map} {
    for (std::size_t bytes = std::bit_floor(within_limit(most)); bytes >= least; bytes /= 2) {
        const std::size_t front = PageMap::front(bytes);
        std::byte* const base = reserve(front + bytes);
        if (base == nullptr) continue;
        if (map_.attach(base, bytes)) {
            range_ = {base + front, bytes};
            unused_ = range_.start;
            return;
        }
        munmap(base, front + bytes);
    }
    throw Exhausted{"the system refuses even " + std::to_string(least >> 20) +
                    " MiB of addresses for pools; raise the address space limit (ulimit -v)"};
}

AddressRange::~AddressRange() {
    map_.detach();
    const std::size_t front = PageMap::front(range_.bytes);
    munmap(range_.start - front, front + range_.bytes);
}

/// Carves the first aligned `bytes` out of the free run from `start` to `end`; null if they do not
/// fit. The rests before and behind them stay free.
std::byte* AddressRange::carve(std::byte* start, std::byte* end, std::size_t bytes,
                               std::size_t align) noexcept {
    auto* const aligned =
        reinterpret_cast<std::byte*>(round_up(reinterpret_cast<std::uintptr_t>(start), align));
    if (aligned > end || static_cast<std::size_t>(end - aligned) < bytes) return nullptr;
    try {
        // The insertion first, because it can fail.
        if (aligned + bytes != end) free_.emplace(aligned + bytes, end);
        if (aligned == start) {
            free_.erase(start);
        } else {
            free_[start] = aligned;
        }
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
    return aligned;
}

Extent AddressRange::allocate(std::size_t bytes, std::size_t align) noexcept {
    if (bytes == 0 || bytes > range_.bytes || align > range_.bytes) return {};
    bytes = round_up(bytes, granule);
    align = std::max(align, granule);
    const std::lock_guard lock{mutex_};
    for (const auto& [start, end] : free_) {
        if (std::byte* const found = carve(start, end, bytes, align)) return {found, bytes};
    }
    auto* const start =
        reinterpret_cast<std::byte*>(round_up(reinterpret_cast<std::uintptr_t>(unused_), align));
    if (start > range_.end() || static_cast<std::size_t>(range_.end() - start) < bytes) return {};
    if (!map_.cover(static_cast<std::size_t>(start + bytes - range_.start))) return {};
    if (start != unused_) {
        try {
            free_.emplace(unused_, start);
        } catch (const std::bad_alloc&) {
            return {};
        }
    }
    unused_ = start + bytes;
    return {start, bytes};
}

bool AddressRange::extend(Extent extent, std::size_t bytes) noexcept {
    bytes = round_up(bytes, granule);
    std::byte* const start = extent.end();
    const std::lock_guard lock{mutex_};
    if (start == unused_) {
        if (static_cast<std::size_t>(range_.end() - start) < bytes) return false;
        if (!map_.cover(static_cast<std::size_t>(start + bytes - range_.start))) return false;
        unused_ = start + bytes;
    } else {
        const auto found = free_.find(start);
        if (found == free_.end()) return false;
        if (carve(found->first, found->second, bytes, granule) == nullptr) return false;
    }
    return true;
}

void AddressRange::release(Extent extent) noexcept {
    const std::lock_guard lock{mutex_};
    map_.set(extent, 0, nullptr);
    std::memset(map_.warm(extent.start), 0, extent.bytes >> granule_shift);
    std::memset(map_.seam(extent.start), 0, extent.bytes >> granule_shift);
    std::byte* start = extent.start;
    std::byte* end = extent.end();
    auto behind = free_.lower_bound(start);
    if (behind != free_.end() && behind->first == end) {
        end = behind->second;
        behind = free_.erase(behind);
    }
    if (behind != free_.begin() && std::prev(behind)->second == start) {
        std::prev(behind)->second = end;
        return;
    }
    try {
        free_.emplace_hint(behind, start, end);
    } catch (const std::bad_alloc&) {
        // These addresses are lost until the process ends. There are plenty.
    }
}

AddressRange& address_range() {
    static auto* const range = new AddressRange{page_map};
    return *range;
}

}  // namespace numpool::pages
