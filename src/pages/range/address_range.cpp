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

/// MAP_NORESERVE and PROT_NONE: addresses only, which no accounting of the kernel counts.
constexpr int reserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

std::byte* reserve(std::size_t bytes) noexcept {
    // Twice the alignment is asked for and the ends given back: mmap aligns to a page only.
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

/// Where addresses are rationed, half of them are left to everybody else.
std::size_t ration(std::size_t most) noexcept {
    rlimit limit{};
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return most;
    return std::min<std::size_t>(most, limit.rlim_cur / 2);
}

}  // namespace

std::size_t AddressRange::ample() noexcept {
#if defined(__SANITIZE_THREAD__)
    // The thread sanitizer has shadow memory for few addresses only.
    return std::size_t{64} << 30;
#else
    constexpr std::size_t tebibyte = std::size_t{1} << 40;
    return std::clamp(std::bit_ceil(memory_limit()) * 16, tebibyte, 16 * tebibyte);
#endif
}

AddressRange::AddressRange(PageMap& map, std::size_t most) : map_{map} {
    for (std::size_t bytes = std::bit_floor(ration(most)); bytes >= least; bytes /= 2) {
        const std::size_t front = PageMap::front(bytes);
        std::byte* const base = reserve(front + bytes);
        if (base == nullptr) continue;
        if (map_.reserve(base, bytes)) {
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
    map_.dismiss();
    const std::size_t front = PageMap::front(range_.bytes);
    munmap(range_.start - front, front + range_.bytes);
}

/// Takes the first aligned `bytes` between two addresses; null where they do not fit. What is left
/// before and behind them goes to the returned runs.
std::byte* AddressRange::carve(std::byte* start, std::byte* end, std::size_t bytes,
                               std::size_t align) noexcept {
    auto* const aligned =
        reinterpret_cast<std::byte*>(round_up(reinterpret_cast<std::uintptr_t>(start), align));
    if (aligned > end || static_cast<std::size_t>(end - aligned) < bytes) return nullptr;
    try {
        // The new entry first: it is the one that can fail.
        if (aligned + bytes != end) returned_.emplace(aligned + bytes, end);
        if (aligned == start) {
            returned_.erase(start);
        } else {
            returned_[start] = aligned;
        }
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
    return aligned;
}

Extent AddressRange::take(std::size_t bytes, std::size_t align) noexcept {
    if (bytes == 0 || bytes > range_.bytes || align > range_.bytes) return {};
    bytes = round_up(bytes, granule);
    align = std::max(align, granule);
    const std::lock_guard lock{mutex_};
    for (const auto& [start, end] : returned_) {
        if (std::byte* const found = carve(start, end, bytes, align)) {
            taken_ += bytes;
            return {found, bytes};
        }
    }
    auto* const start =
        reinterpret_cast<std::byte*>(round_up(reinterpret_cast<std::uintptr_t>(unused_), align));
    if (start > range_.end() || static_cast<std::size_t>(range_.end() - start) < bytes) return {};
    if (!map_.cover(static_cast<std::size_t>(start + bytes - range_.start))) return {};
    if (start != unused_) {
        try {
            returned_.emplace(unused_, start);
        } catch (const std::bad_alloc&) {
            return {};
        }
    }
    unused_ = start + bytes;
    taken_ += bytes;
    return {start, bytes};
}

bool AddressRange::take_behind(Extent extent, std::size_t bytes) noexcept {
    bytes = round_up(bytes, granule);
    std::byte* const start = extent.end();
    const std::lock_guard lock{mutex_};
    if (start == unused_) {
        if (static_cast<std::size_t>(range_.end() - start) < bytes) return false;
        if (!map_.cover(static_cast<std::size_t>(start + bytes - range_.start))) return false;
        unused_ = start + bytes;
    } else {
        const auto found = returned_.find(start);
        if (found == returned_.end()) return false;
        if (carve(found->first, found->second, bytes, granule) == nullptr) return false;
    }
    taken_ += bytes;
    return true;
}

void AddressRange::give_back(Extent extent) noexcept {
    const std::lock_guard lock{mutex_};
    map_.mark(extent, 0, nullptr);
    std::memset(map_.warm(extent.start), 0, extent.bytes >> granule_shift);
    std::memset(map_.seam(extent.start), 0, extent.bytes >> granule_shift);
    taken_ -= extent.bytes;
    std::byte* start = extent.start;
    std::byte* end = extent.end();
    auto behind = returned_.lower_bound(start);
    if (behind != returned_.end() && behind->first == end) {
        end = behind->second;
        behind = returned_.erase(behind);
    }
    if (behind != returned_.begin() && std::prev(behind)->second == start) {
        std::prev(behind)->second = end;
        return;
    }
    try {
        returned_.emplace_hint(behind, start, end);
    } catch (const std::bad_alloc&) {
        // The addresses are never dealt out again. There are plenty.
    }
}

bool AddressRange::contains(const void* address) const noexcept {
    return reinterpret_cast<std::uintptr_t>(address) -
               reinterpret_cast<std::uintptr_t>(range_.start) <
           range_.bytes;
}

std::size_t AddressRange::taken() const noexcept {
    const std::lock_guard lock{mutex_};
    return taken_;
}

AddressRange& address_range() {
    static auto* const range = new AddressRange{page_map};
    return *range;
}

}  // namespace numpool::pages
